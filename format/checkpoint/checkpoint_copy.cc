// SPDX-License-Identifier: Apache-2.0
#include "format/checkpoint/checkpoint_copy.h"

#include <fcntl.h>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/file_system.h"
#include "format/base/new_folder.h"
#include "format/base/path_status.h"
#include "format/checkpoint/folder_rules.h"
#include "format/checkpoint/internal/checkpoint_files.h"
#include "format/tensor/shard_edit.h"

namespace organ::format {
namespace {

// With the permissions of an open file, less what the umask takes away.
UniqueFd create_file(const std::filesystem::path& path, int like) {
  const unsigned permissions = permissions_of(like, path.string());
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, permissions));
  if (!fd) fail_errno(quote(path.string()), "create");
  return fd;
}

void copy_plain_file(const internal::ModelFolder& from, std::string_view name,
                     const std::filesystem::path& to, const Work& work) {
  const UniqueFd source = from.open(name);
  const UniqueFd target = create_file(to, source.get());
  copy_contents(source.get(), target.get(), quote(from.subject(name)), work);
  sync_fd(target.get(), quote(to.string()));
}

// The bytes that are written anew, unchanged shards only where they cannot be shared.
std::uint64_t bytes_to_write(const Checkpoint& checkpoint,
                             const std::vector<std::vector<TensorSource>>& replacements,
                             const std::filesystem::path& folder) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < replacements.size(); ++i) {
    const SafetensorsFile& file = checkpoint.shards()[i].file;
    if (!replacements[i].empty() || !can_clone(file.fd(), folder)) {
      bytes += edit_size(file);
    }
  }
  return bytes;
}

// The new bytes of each shard.
std::vector<std::vector<TensorSource>> by_shard(const Checkpoint& checkpoint,
                                                std::vector<ReplacedTensor> changes) {
  std::vector<std::vector<TensorSource>> replacements(checkpoint.shards().size());
  for (auto& change : changes) replacements[change.shard].push_back(std::move(change.source));
  return replacements;
}

std::vector<std::string> plain_files(const std::filesystem::path& folder,
                                     std::string_view record_name) {
  std::vector<std::string> names;
  for (auto& name : list_folder(folder)) {
    if (name.starts_with('.') || !is_file(folder / name)) continue;
    if (!belongs_to_old_weights(name) && name != record_name) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace

void copy_checkpoint_with(const Checkpoint& checkpoint, std::vector<ReplacedTensor> changes,
                          const std::filesystem::path& out, std::string_view record_name,
                          std::string_view record, const Work& work) {
  NewFolder folder(out);
  folder.no_wider_than(checkpoint.folder_permissions());
  const auto& from = checkpoint.folder();
  const auto& shards = checkpoint.shards();
  const auto replacements = by_shard(checkpoint, std::move(changes));
  const auto names = plain_files(from, record_name);
  const internal::ModelFolder files(from);
  std::uint64_t bytes = 0;
  for (const auto& name : names) bytes += file_size(files.open(name).get(), files.subject(name));
  for (std::size_t i = 0; i < shards.size(); ++i) {
    bytes += edit_size(shards[i].file);
  }
  require_space(folder.path(), bytes_to_write(checkpoint, replacements, folder.path()));
  const Work copying = work.phase("copying", bytes);
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const auto path = folder.path() / shards[i].file_name;
    const UniqueFd target = create_file(path, shards[i].file.fd());
    copy_shard_with(shards[i].file, target.get(), path.string(), replacements[i], copying);
    sync_fd(target.get(), quote(path.string()));
  }
  for (const auto& name : names) copy_plain_file(files, name, folder.path() / name, copying);
  write_file(folder.path() / record_name, record, AtomicFile::Mode::replace,
             checkpoint.permissions());
  folder.commit();
}

}  // namespace organ::format
