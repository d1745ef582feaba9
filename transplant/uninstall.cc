// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>
#include <string>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/file_system.h"
#include "format/base/path_status.h"
#include "format/checkpoint/folder_rules.h"
#include "format/tensor/shard_edit.h"
#include "transplant/install.h"
#include "transplant/internal/file_metadata.h"
#include "transplant/internal/model_files.h"
#include "transplant/internal/transaction.h"
#include "transplant/internal/undo_data.h"

namespace organ::transplant {
namespace {

namespace fs = std::filesystem;

// One shard that gets its former bytes.
struct Restoring {
  const FileChange* file;
  format::SafetensorsFile undo;
  format::SafetensorsFile shard;

  std::vector<format::TensorSource> originals() const {
    std::vector<format::TensorSource> sources;
    for (const format::TensorInfo& tensor : undo.header().tensors) {
      sources.push_back(format::file_source(tensor, undo, tensor));
    }
    return sources;
  }
};

Restoring open_changed(const StateFolder& state, const FileChange& file,
                       format::SafetensorsFile undo) {
  const fs::path path = state.model / file.path;
  return {&file, std::move(undo),
          format::SafetensorsFile::from_fd(open_regular(path, Symlinks::refuse), path.string())};
}

struct Sizes {
  std::uint64_t read = 0, written = 0;
};

// Proves the undo data of every changed shard. Of many, each is open while it is looked at only.
Sizes check_undo(const StateFolder& state, const Receipt& receipt, const Work& work) {
  std::uint64_t bytes = 0;
  for (const FileChange& file : receipt.files) {
    if (file.undo) bytes += size_of_file(state.undo(receipt.number) / file.path);
  }
  const Work checking = work.phase("checking undo data", bytes);
  RoomForCopies room(state.staged_files());
  Sizes sizes;
  for (const FileChange& file : receipt.files) {
    if (!file.undo) continue;
    const Restoring one = open_changed(state, file, open_undo(state, receipt, file, checking));
    sizes.read += format::edit_size(one.shard);
    sizes.written += format::written_size(one.shard, one.originals(), room.shares(one.shard.fd()));
  }
  return sizes;
}

// The former shard = the present one with the old bytes of the replaced tensors.
void restore_shard(const StateFolder& state, const Restoring& restoring, const Work& work,
                   std::vector<std::string>& not_given_back) {
  const FileChange& file = *restoring.file;
  const fs::path path = state.model / file.path;
  const fs::path staged = state.staged_files() / file.path;
  const UniqueFd fd = create_like(restoring.shard.fd(), staged, Place::of_the_model);
  const format::ShardEdit edit = format::copy_shard_with(restoring.shard, fd.get(), staged.string(),
                                                         restoring.originals(), work);
  require_digest(edit.before, file.after, path, "changed since the installation");
  require_digest(edit.after, file.before, path, "the restored file is not the former one");
  if (file.metadata) {
    for (const std::string& lost : give_back(fd.get(), *file.metadata, path.string())) {
      not_given_back.push_back(fmt::format("{}: {}", file.path, lost));
    }
  }
  sync_fd(fd.get(), staged.string());
}

void restore(const StateFolder& state, const Work& work, UninstallOutcome& outcome) {
  const Receipt& receipt = outcome.undone;
  const Sizes sizes = check_undo(state, receipt, work);
  require_space(state.staged_files(), sizes.written);
  const Work restoring = work.phase("restoring", sizes.read);
  for (const FileChange& file : receipt.files) {
    if (!file.undo) continue;
    // What it gives is proved by the digest of the former file.
    const fs::path path = state.undo(receipt.number) / file.path;
    restore_shard(state,
                  open_changed(state, file,
                               format::SafetensorsFile::from_fd(
                                   open_regular(path, Symlinks::refuse), path.string())),
                  restoring, outcome.not_given_back);
  }
}

// What the files of the receipt are now against what they were before the installation. The digests
// of restored shards are those of the bytes that were written. The change is done: whatever keeps a
// file from being read is told, and fails nothing.
void prove(const fs::path& model, const Work& work, UninstallOutcome& outcome) {
  const fs::path folder = without_links(model);
  std::vector<std::string> names;
  for (const FileChange& file : outcome.undone.files) {
    if (file.undo) {
      outcome.proved.push_back(file.path);
    } else if (format::leads_away(folder, file.path)) {
      outcome.not_followed.push_back(file.path);
    } else {
      names.push_back(file.path);
    }
  }
  const ModelFiles files = read_files_of(model, names, outcome.unread, "proving", work);
  const std::set<std::string> unread(outcome.unread.begin(), outcome.unread.end());
  for (const FileChange& file : outcome.undone.files) {
    if (!std::binary_search(names.begin(), names.end(), file.path)) continue;
    if (unread.contains(file.path)) continue;
    const auto now = files.find(file.path);
    const bool same = now != files.end() && now->second.digest == file.before;
    (same ? outcome.proved : outcome.changed).push_back(file.path);
  }
}

}  // namespace

UninstallOutcome uninstall_organ(const fs::path& model, const Work& work) {
  if (!is_folder(model)) {
    if (!is_there(model)) fail(ErrorCode::not_found, "{}: does not exist", quote(model.string()));
    fail(ErrorCode::invalid_argument, "{}: is not a folder", quote(model.string()));
  }
  const Recovery recovery = recover_journal(model, work);
  if (StateFolder(model).receipt_numbers().empty()) {
    throw Error(ErrorCode::not_found,
                fmt::format("{}: no organ is installed", quote(model.string())),
                "only folders that organ install made or changed can be undone");
  }
  Transaction transaction(model, work);
  const StateFolder& state = transaction.state();
  std::vector<Receipt> receipts = read_receipts(model);
  if (receipts.empty()) {  // another process took it out between the two looks
    fail(ErrorCode::not_found, "{}: no organ is installed", quote(model.string()));
  }
  UninstallOutcome outcome;
  outcome.recovery = recovery;
  outcome.undone = std::move(receipts.back());
  receipts.pop_back();
  outcome.left = std::move(receipts);
  restore(state, work, outcome);
  Change change = {Change::Kind::uninstall, outcome.undone.number, {}};
  for (const FileChange& file : outcome.undone.files) {
    if (file.undo) change.files.push_back({file.path, file.after, file.before});
  }
  transaction.commit(change);
  prove(model, work.committed(), outcome);
  return outcome;
}

}  // namespace organ::transplant
