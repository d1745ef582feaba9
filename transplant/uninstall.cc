// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>

#include "format/base/fail.h"
#include "format/tensor/shard_edit.h"
#include "transplant/install.h"
#include "transplant/internal/model_files.h"
#include "transplant/internal/transaction.h"
#include "transplant/internal/undo_data.h"

namespace organ::transplant {
namespace {

namespace fs = std::filesystem;

// The former shard = the present one with the old bytes of the replaced tensors.
void restore_shard(const StateFolder& state, const Receipt& receipt, const FileChange& file) {
  const format::SafetensorsFile undo = open_undo(state, receipt, file);
  std::vector<format::TensorSource> originals;
  for (const format::TensorInfo& tensor : undo.header().tensors) {
    originals.push_back(format::file_source(tensor, undo, tensor));
  }
  const fs::path path = state.model / file.path;
  const auto shard =
      format::SafetensorsFile::from_fd(open_regular(path, Symlinks::refuse), path.string());
  const fs::path staged = state.staged_files() / file.path;
  const UniqueFd fd = create_like(shard.fd(), staged);
  const format::ShardEdit edit = format::copy_shard_with(shard, fd.get(), originals);
  require_digest(edit.before, file.after, path, "changed since the installation");
  require_digest(edit.after, file.before, path, "the restored file is not the former one");
  sync_fd(fd.get(), staged.string());
}

// What the folder holds now against what it held before the installation.
void prove(const fs::path& model, UninstallOutcome& outcome) {
  std::vector<std::string> skipped;
  const auto files = open_model_files(model, skipped);
  for (const FileChange& file : outcome.undone.files) {
    const auto now = files.find(file.path);
    const bool same = now != files.end() && now->second.digest == file.before;
    (same ? outcome.proved : outcome.changed).push_back(file.path);
  }
}

}  // namespace

UninstallOutcome uninstall_organ(const fs::path& model) {
  const Recovery recovery = recover_journal(model);
  if (StateFolder(model).receipt_numbers().empty()) {
    throw Error(ErrorCode::not_found,
                fmt::format("{}: no organ is installed", quote(model.string())),
                "only folders that organ install made or changed can be undone");
  }
  Transaction transaction(model);
  const StateFolder& state = transaction.state();
  std::vector<Receipt> receipts = read_receipts(model);
  if (receipts.empty()) {  // another process took it out between the two looks
    fail(ErrorCode::not_found, "{}: no organ is installed", quote(model.string()));
  }
  UninstallOutcome outcome;
  outcome.recovery = recovery;
  outcome.undone = std::move(receipts.back());
  Change change = {Change::Kind::uninstall, outcome.undone.number, {}};
  for (const FileChange& file : outcome.undone.files) {
    if (!file.undo) continue;
    restore_shard(state, outcome.undone, file);
    change.files.push_back({file.path, file.after, file.before});
  }
  transaction.commit(change);
  prove(model, outcome);
  return outcome;
}

}  // namespace organ::transplant
