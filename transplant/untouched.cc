// SPDX-License-Identifier: Apache-2.0
#include "transplant/untouched.h"

#include <map>

#include "format/base/fail.h"
#include "transplant/internal/undo_data.h"
#include "transplant/receipt.h"

namespace organ::transplant {
namespace {

using Shard = format::Checkpoint::Shard;

// What the receipts say of the shards that organs changed.
struct History {
  std::vector<Shard> undone;          // newest first: the oldest bytes of a tensor count
  std::map<std::string, Digest> now;  // of each changed shard as it must be
};

History read_history(const StateFolder& state, const std::vector<Receipt>& receipts,
                     const Work& work) {
  History history;
  std::map<std::string, Digest> expected;  // what the next older receipt must have left
  for (auto receipt = receipts.rbegin(); receipt != receipts.rend(); ++receipt) {
    for (const FileChange& file : receipt->files) {
      if (!file.undo) continue;
      const auto [newer, newest] = expected.try_emplace(file.path, file.after);
      if (newest) history.now.emplace(file.path, file.after);
      require_digest(newer->second, file.after, state.receipt(receipt->number),
                     "the receipts do not follow each other");
      newer->second = file.before;
      history.undone.push_back({file.path, open_undo(state, *receipt, file, work)});
    }
  }
  return history;
}

const format::SafetensorsFile& present_shard(const format::Checkpoint& checkpoint,
                                             const std::string& name) {
  for (const Shard& shard : checkpoint.shards()) {  // the folder's own come first
    if (shard.file_name == name) return shard.file;
  }
  fail(ErrorCode::corrupt, "{}: is no shard of the model any more",
       quote((checkpoint.folder() / name).string()));
}

std::vector<Receipt> installed(const std::filesystem::path& model) {
  std::vector<Receipt> receipts = read_receipts(model);
  if (!receipts.empty()) return receipts;
  throw Error(ErrorCode::not_found, fmt::format("{}: no organ is installed", quote(model.string())),
              "the folder is untouched as it is");
}

}  // namespace

void require_installed(const std::filesystem::path& model) { installed(model); }

format::Checkpoint open_untouched(const std::filesystem::path& model, const Work& work) {
  const StateFolder state(model);
  const std::vector<Receipt> receipts = installed(model);
  const Work proving = work.phase("reading what was kept", 0);
  History history = read_history(state, receipts, proving);
  auto checkpoint = format::Checkpoint::open_with(model, std::move(history.undone));
  for (const auto& [name, digest] : history.now) {
    const format::SafetensorsFile& file = present_shard(checkpoint, name);
    require_digest(hash_file_flat(file.fd(), file.subject(), proving), digest, model / name,
                   "changed since the installation");
  }
  return checkpoint;
}

}  // namespace organ::transplant
