// SPDX-License-Identifier: Apache-2.0
// The files of a model folder as an installation sees them: read, copied, recorded, proved
// unchanged.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"
#include "format/base/file.h"
#include "format/base/file_system.h"
#include "format/checkpoint/checkpoint.h"
#include "transplant/internal/plan.h"
#include "transplant/receipt.h"

namespace organ::transplant {

// Which file it is and when its bytes may last have changed.
struct FileState {
  FileId file;
  std::uint64_t size = 0;
  std::int64_t written = 0, changed = 0;  // mtime and ctime in nanoseconds
  bool operator==(const FileState&) const = default;

  static FileState of(int fd, std::string_view subject);
};

// A regular file of the model folder; symlinks were followed only inside the folder or the Hugging
// Face cache repository around it. It is open only while it is read: a folder may hold thousands.
struct ModelFile {
  std::string name;  // a safe file name
  FileState state;
  bool settled = false;  // any later change of it has another state
  Digest digest;
};
using ModelFiles = std::map<std::string, ModelFile>;

// The files of a folder that take part in an installation, by name, without digests; `skipped` gets
// the names of everything else (format::visit_model_files).
ModelFiles find_model_files(const std::filesystem::path& model, std::vector<std::string>& skipped);

// Fills their digests, as a phase of this name, but those of `unread`, which somebody else finds.
void hash_model_files(const std::filesystem::path& model, ModelFiles& files,
                      const std::set<std::string>& unread, std::string_view phase,
                      const Work& work = {});

// The files of these names alone, with their digests. Those that cannot be read, or change
// meanwhile, go into `unread`: for what is done already and must not be told as failed. Throws
// cancelled.
ModelFiles read_files_of(const std::filesystem::path& model, const std::vector<std::string>& names,
                         std::vector<std::string>& unread, std::string_view phase,
                         const Work& work);

// Throws conflict unless it is still the file that was read.
UniqueFd open_again(const std::filesystem::path& model, const ModelFile& file);

// Throws invalid_argument when config or a shard is a symlink: writing there would change a cache
// other models share.
void require_own_files(const format::Checkpoint& recipient);

// A file that got another name has another ctime: what it is now is what it must stay.
void accept_link(ModelFile& file, int fd);

// Throws conflict unless every file is still what was read: the same file, untouched since; one
// that was young when it was read, so that its times prove nothing, is hashed again.
void require_unchanged(const std::filesystem::path& model, const ModelFiles& files,
                       const Work& work);

// Where a file will lie: in place of the model's, with its owner, mode and attributes; or in a
// folder of our own, with its mode less what the umask takes away.
enum class Place { of_the_model, of_its_own };

// A new empty file, open for reading and writing, for what becomes of an open one.
UniqueFd create_like(int model_fd, const std::filesystem::path& path, Place place);

// The names of the shards that a plan changes.
std::set<std::string> changed_shards(const InstallPlan& plan, const format::Checkpoint& recipient);

// The room that write_changed_shards takes in a folder.
std::uint64_t changed_size(const InstallPlan& plan, const format::Checkpoint& recipient,
                           RoomForCopies& room);

// Fills `metadata` of those of `changes` that have undo data: files of the model that are replaced.
// Returns what is too long for a receipt: "model.safetensors: attribute 'user.a' (55000 bytes)".
std::vector<std::string> record_metadata(const format::Checkpoint& recipient,
                                         std::vector<FileChange>& changes);

// Those of the files that have other names (hard links). Replaced, they keep one of them.
std::vector<std::string> with_other_names(const format::Checkpoint& recipient,
                                          const std::set<std::string>& names);

// Writes the changed shards to `files_folder` and the old bytes of what they replace to
// `undo_folder`, synced, and fills `before`, `after` and `undo` of `changes` and the digests of
// `files`. Each shard is read once and written once.
void write_changed_shards(const InstallPlan& plan, const format::Checkpoint& recipient,
                          const std::filesystem::path& files_folder,
                          const std::filesystem::path& undo_folder, Place place, ModelFiles& files,
                          std::vector<FileChange>& changes, const Work& work);

}  // namespace organ::transplant
