// SPDX-License-Identifier: Apache-2.0
#include "format/checkpoint/checkpoint_copy.h"

#include <fcntl.h>

#include <cstdio>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/tensor/shard_edit.h"

namespace organ::format {
namespace {

UniqueFd create_file(const std::filesystem::path& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!fd) fail_errno(quote(path.string()), "create");
  return fd;
}

void copy_plain_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  const UniqueFd source = open_regular(from);
  const UniqueFd target = create_file(to);
  copy_contents(source.get(), target.get(), quote(from.string()));
  sync_fd(target.get(), quote(to.string()));
}

void copy_shards(const Checkpoint& checkpoint, std::vector<ReplacedTensor> changes,
                 const std::filesystem::path& folder) {
  const auto& shards = checkpoint.shards();
  std::vector<std::vector<TensorSource>> replacements(shards.size());
  for (auto& change : changes) replacements[change.shard].push_back(std::move(change.source));
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const auto path = folder / shards[i].file_name;
    const UniqueFd target = create_file(path);
    copy_shard_with(shards[i].file, target.get(), replacements[i]);
    sync_fd(target.get(), quote(path.string()));
  }
}

}  // namespace

void copy_checkpoint_with(const Checkpoint& checkpoint, std::vector<ReplacedTensor> changes,
                          const std::filesystem::path& out, std::string_view record_name,
                          std::string_view record) {
  if (std::filesystem::exists(std::filesystem::symlink_status(out))) {
    fail(ErrorCode::already_exists, "{}: exists already", quote(out.string()));
  }
  const auto target = std::filesystem::absolute(out).lexically_normal();
  TempFolder temporary(target.parent_path(), ".organ-copy");
  const auto& from = checkpoint.folder();
  copy_shards(checkpoint, std::move(changes), temporary.path());
  for (const auto& name : list_folder(from)) {
    if (name.starts_with('.') || !std::filesystem::is_regular_file(from / name)) continue;
    if (name.ends_with(".safetensors") || name == record_name) continue;
    copy_plain_file(from / name, temporary.path() / name);
  }
  write_file(temporary.path() / record_name, record);
  std::filesystem::permissions(temporary.path(), std::filesystem::perms(0755));
  sync_folder(temporary.path());
  if (::rename(temporary.path().c_str(), target.c_str()) != 0) {
    fail_errno(quote(out.string()), "rename");
  }
  temporary.release();
  sync_folder(target.parent_path());
}

}  // namespace organ::format
