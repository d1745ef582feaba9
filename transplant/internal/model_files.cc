// SPDX-License-Identifier: Apache-2.0
#include "transplant/internal/model_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <span>
#include <system_error>
#include <utility>

#include "format/base/fail.h"
#include "format/base/path_status.h"
#include "format/tensor/shard_edit.h"

namespace organ::transplant {
namespace {

namespace fs = std::filesystem;

bool is_inside(const fs::path& path, const fs::path& folder) {
  const auto [end, ignored] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return end == folder.end();
}

// snapshots/<revision> of a Hugging Face cache repository keeps its files in ../../blobs.
bool is_allowed_target(const fs::path& target, const fs::path& folder) {
  if (is_inside(target, folder)) return true;
  return folder.parent_path().filename() == "snapshots" &&
         is_inside(target, folder.parent_path().parent_path() / "blobs");
}

// Nothing when the entry is no regular file, or a link that leads out of the model.
UniqueFd open_entry(const fs::path& folder, const std::string& name) {
  std::error_code error;
  const fs::path target = fs::canonical(folder / name, error);
  if (error || !is_allowed_target(target, folder) || !fs::is_regular_file(target, error)) return {};
  return open_regular(target, Symlinks::refuse);
}

std::pair<dev_t, ino_t> place(const struct stat& info) { return {info.st_dev, info.st_ino}; }

UniqueFd create_file(const fs::path& path, mode_t permissions) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) fail_errno(path.string(), "create");
  if (::fchmod(fd.get(), permissions) != 0) fail_errno(path.string(), "chmod");
  return fd;
}

Digest write_undo(const format::Checkpoint::Shard& shard,
                  const std::vector<format::TensorSource>& writes, const fs::path& path,
                  const Work& work) {
  std::vector<format::TensorSource> originals;
  for (const format::TensorSource& write : writes) {
    const format::TensorInfo& stored = shard.file.tensor(write.info.name);
    originals.push_back(format::file_source(stored, shard.file, stored));
  }
  const UniqueFd fd = create_file(path, 0644);
  const FileDigest digest =
      format::write_safetensors(fd.get(), std::move(originals), {}, path.string(), work);
  sync_fd(fd.get(), path.string());
  return digest.digest;
}

}  // namespace

std::map<std::string, ModelFile> open_model_files(const fs::path& model,
                                                  std::vector<std::string>& skipped,
                                                  std::string_view phase, const Work& work) {
  const fs::path folder = real_path(model);
  std::map<std::string, ModelFile> files;
  std::vector<HashRange> ranges;
  for (const std::string& name : list_folder(folder)) {
    if (name.starts_with('.')) continue;
    UniqueFd fd = is_safe_file_name(name) ? open_entry(folder, name) : UniqueFd();
    if (!fd) {
      skipped.push_back(name);
      continue;
    }
    const std::uint64_t size = file_size(fd.get(), name);
    ranges.push_back({fd.get(), 0, size});
    files.emplace(name, ModelFile{name, std::move(fd), size, {}});
  }
  const std::vector<Digest> digests =
      hash_ranges(ranges, model.string(), work.phase(phase, total_size(ranges)));
  std::size_t i = 0;
  for (auto& [name, file] : files) file.digest = digests[i++];
  return files;
}

void require_own_files(const format::Checkpoint& recipient) {
  std::vector<std::string> names = {std::string(format::kConfigFile)};
  for (const auto& shard : recipient.shards()) names.push_back(shard.file_name);
  for (const std::string& name : names) {
    const fs::path path = recipient.folder() / name;
    if (path_status(path, Symlinks::refuse) != PathStatus::symlink) continue;
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("{}: is a link into a cache that other models share", quote(path.string())),
        "build a new folder with --out DIR");
  }
}

void require_unchanged(const fs::path& model, const std::map<std::string, ModelFile>& files,
                       const Work& work) {
  std::vector<HashRange> ranges;
  for (const auto& [name, file] : files) {
    struct stat now {
    }, opened{};
    const bool there = ::stat((model / name).c_str(), &now) == 0;
    if (::fstat(file.fd.get(), &opened) != 0) fail_errno(name, "stat");
    if (!there || place(now) != place(opened) || file_size(file.fd.get(), name) != file.size) {
      fail(ErrorCode::conflict, "{}: changed during the installation", quote(name));
    }
    ranges.push_back({file.fd.get(), 0, file.size});
  }
  const std::vector<Digest> digests =
      hash_ranges(ranges, model.string(), work.phase("checking the model", total_size(ranges)));
  std::size_t i = 0;
  for (const auto& [name, file] : files) {
    if (digests[i++] != file.digest) {
      fail(ErrorCode::conflict, "{}: changed during the installation", quote(name));
    }
  }
}

UniqueFd create_like(int model_fd, const fs::path& path) {
  struct stat info {};
  if (::fstat(model_fd, &info) != 0) fail_errno(path.string(), "stat");
  return create_file(path, info.st_mode & 0777);
}

void write_changed_shards(const InstallPlan& plan, const format::Checkpoint& recipient,
                          const fs::path& files_folder, const fs::path& undo_folder,
                          std::vector<FileChange>& changes, const Work& work) {
  std::uint64_t bytes = 0;
  for (const auto& [index, writes] : plan.writes) {  // the old bytes are written too
    bytes += format::total_size(writes) + format::edit_size(recipient.shards().at(index).file);
  }
  const Work writing = work.phase("writing", bytes);
  for (const auto& [index, writes] : plan.writes) {
    const format::Checkpoint::Shard& shard = recipient.shards().at(index);
    const auto change = std::find_if(changes.begin(), changes.end(), [&](const FileChange& one) {
      return one.path == shard.file_name;
    });
    check(change != changes.end(), "a shard that is no file of the model");
    change->undo = write_undo(shard, writes, undo_folder / shard.file_name, writing);
    const fs::path path = files_folder / shard.file_name;
    const UniqueFd fd = create_like(shard.file.fd(), path);
    const format::ShardEdit edit = format::copy_shard_with(shard.file, fd.get(), writes, writing);
    sync_fd(fd.get(), path.string());
    if (edit.before != change->before) {
      fail(ErrorCode::conflict, "{}: changed during the installation", quote(shard.file_name));
    }
    change->after = edit.after;
  }
}

}  // namespace organ::transplant
