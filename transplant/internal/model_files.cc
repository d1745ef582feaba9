// SPDX-License-Identifier: Apache-2.0
#include "transplant/internal/model_files.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <span>
#include <system_error>

#include "format/base/fail.h"
#include "format/base/path_status.h"
#include "format/checkpoint/folder_rules.h"
#include "format/tensor/shard_edit.h"
#include "transplant/internal/file_metadata.h"

namespace organ::transplant {
namespace {

namespace fs = std::filesystem;

// Files to open at one time: half of what the process still may, for a checkpoint has all of its
// shards open.
std::size_t files_at_once() {
  constexpr rlim_t kFew = 1, kMany = 64;
  rlimit limit{};
  std::error_code error;
  const auto open = std::distance(fs::directory_iterator("/proc/self/fd", error), {});
  if (error || ::getrlimit(RLIMIT_NOFILE, &limit) != 0) return kFew;
  const auto used = static_cast<rlim_t>(open);
  const rlim_t free = limit.rlim_cur > used ? limit.rlim_cur - used : 0;
  return static_cast<std::size_t>(std::clamp(free / 2, kFew, kMany));
}

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

std::int64_t now() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return nanoseconds(time);
}

// A file system dates two changes alike that follow each other within its tick (two seconds at
// most, on FAT): only what was older when it was looked at shows every later change.
bool is_settled(const FileState& state) {
  constexpr std::int64_t kLongestTick = 2'000'000'000;
  return std::max(state.written, state.changed) < now() - kLongestTick;
}

[[noreturn]] void refuse_changed(const std::string& name) {
  fail(ErrorCode::conflict, "{}: changed during the installation", quote(name));
}

// Calls `use(file, digest)` for each. Holds few files open at a time.
template <typename Use>
void hash_files(const fs::path& folder, const std::vector<ModelFile*>& files, const Work& work,
                const Use& use) {
  const std::size_t most = files_at_once();
  for (std::size_t at = 0; at < files.size(); at += most) {
    const auto batch = std::span(files).subspan(at, std::min(most, files.size() - at));
    std::vector<UniqueFd> opened;
    std::vector<HashRange> ranges;
    for (const ModelFile* file : batch) {
      opened.push_back(open_again(folder, *file));
      ranges.push_back({opened.back().get(), 0, file->state.size});
    }
    const std::vector<Digest> digests = hash_ranges(ranges, folder.string(), work);
    for (std::size_t i = 0; i < batch.size(); ++i) use(*batch[i], digests[i]);
  }
}

std::uint64_t total_size(const std::vector<ModelFile*>& files) {
  std::uint64_t bytes = 0;
  for (const ModelFile* file : files) bytes += file->state.size;
  return bytes;
}

UniqueFd create_file(const fs::path& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) fail_errno(path.string(), "create");
  return fd;
}

}  // namespace

UniqueFd create_like(int model_fd, const fs::path& path, Place place) {
  UniqueFd fd = create_file(path);
  if (place == Place::of_the_model) {
    make_like(fd.get(), metadata_of(model_fd, path.string()), path.string());
  } else {
    set_permissions(fd.get(), permissions_like(fd.get(), model_fd, path.string()), path.string());
  }
  return fd;
}

namespace {

// The replaced tensors of a shard as they stand in a canonical file, and its header.
struct UndoForm {
  std::vector<format::TensorInfo> tensors;
  std::string header;

  UndoForm(const format::SafetensorsFile& shard, const std::vector<format::TensorSource>& writes) {
    for (const format::TensorSource& write : writes) {
      tensors.push_back(shard.tensor(write.info.name));
    }
    header = format::canonical_header(tensors, {});
  }
};

std::uint64_t undo_size(const format::SafetensorsFile& shard,
                        const std::vector<format::TensorSource>& writes) {
  return UndoForm(shard, writes).header.size() + format::total_size(writes);
}

// The old bytes of one shard's replaced tensors as a canonical file, filled while the shard is
// copied.
class UndoFile {
 public:
  UndoFile(const format::SafetensorsFile& shard, const std::vector<format::TensorSource>& writes,
           const fs::path& path, Place place)
      : path_(path.string()), fd_(create_like(shard.fd(), path, place)) {
    const UndoForm form(shard, writes);
    for (const format::TensorInfo& tensor : form.tensors) {
      places_.emplace(tensor.name, form.header.size() + tensor.offset);
    }
    write_all(fd_.get(), form.header, path_);
  }

  void put(const format::TensorInfo& tensor, std::uint64_t offset,
           std::span<const std::byte> bytes) {
    write_at(fd_.get(), places_.at(tensor.name) + offset, bytes, path_);
  }

  // Durable; the digest of what was written, whose bytes `work` is told of.
  Digest finish(const Work& work) {
    sync_fd(fd_.get(), path_);
    return hash_file_flat(fd_.get(), path_, work);
  }

 private:
  std::string path_;
  UniqueFd fd_;
  std::map<std::string, std::uint64_t> places_;
};

}  // namespace

FileState FileState::of(int fd, std::string_view subject) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) fail_errno(subject, "stat");
  return {{info.st_dev, info.st_ino},
          static_cast<std::uint64_t>(info.st_size),
          nanoseconds(info.st_mtim),
          nanoseconds(info.st_ctim)};
}

ModelFiles find_model_files(const fs::path& model, std::vector<std::string>& skipped) {
  ModelFiles files;
  const auto left_out = format::visit_model_files(model, [&](const std::string& name, int fd) {
    const FileState state = FileState::of(fd, name);
    files.emplace(name, ModelFile{name, state, is_settled(state), {}});
  });
  for (const format::LeftOut& entry : left_out) skipped.push_back(entry.name);
  return files;
}

void hash_model_files(const fs::path& model, ModelFiles& files, const std::set<std::string>& unread,
                      std::string_view phase, const Work& work) {
  std::vector<ModelFile*> wanted;
  for (auto& [name, file] : files) {
    if (!unread.contains(name)) wanted.push_back(&file);
  }
  hash_files(model, wanted, work.phase(phase, total_size(wanted)),
             [](ModelFile& file, const Digest& digest) { file.digest = digest; });
}

ModelFiles read_files_of(const fs::path& model, const std::vector<std::string>& names,
                         std::vector<std::string>& unread, std::string_view phase,
                         const Work& work) {
  ModelFiles files;
  const fs::path root = without_links(model);
  for (const std::string& name : names) {
    try {
      const UniqueFd fd = format::open_model_file(root, name);
      if (fd) files.emplace(name, ModelFile{name, FileState::of(fd.get(), name), false, {}});
    } catch (const Error&) {
      unread.push_back(name);
    }
  }
  std::vector<ModelFile*> wanted;
  for (auto& [name, file] : files) wanted.push_back(&file);
  std::set<std::string> read;
  const auto use = [&](ModelFile& file, const Digest& digest) {
    file.digest = digest;
    read.insert(file.name);
  };
  try {
    hash_files(model, wanted, work.phase(phase, total_size(wanted)), use);
  } catch (const Error&) {
    work.require_wanted();
    for (ModelFile* file : wanted) {  // which of them it was shows one by one
      if (read.contains(file->name)) continue;
      try {
        hash_files(model, {file}, work, use);
      } catch (const Error&) {
        unread.push_back(file->name);
      }
    }
  }
  std::erase_if(files, [&](const auto& entry) { return !read.contains(entry.first); });
  return files;
}

UniqueFd open_again(const fs::path& model, const ModelFile& file) {
  UniqueFd fd = format::open_model_file(real_path(model), file.name);
  if (!fd || FileState::of(fd.get(), file.name) != file.state) refuse_changed(file.name);
  return fd;
}

void accept_link(ModelFile& file, int fd) {
  file.state.changed = FileState::of(fd, file.name).changed;
  file.settled = false;
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

void require_unchanged(const fs::path& model, const ModelFiles& files, const Work& work) {
  std::vector<ModelFile> again;
  for (const auto& [name, file] : files) {
    open_again(model, file);
    if (!file.settled) again.push_back(file);
  }
  std::vector<ModelFile*> young;
  young.reserve(again.size());
  for (ModelFile& file : again) young.push_back(&file);
  hash_files(model, young, work.phase("checking the model", total_size(young)),
             [](const ModelFile& file, const Digest& digest) {
               if (digest != file.digest) refuse_changed(file.name);
             });
}

std::set<std::string> changed_shards(const InstallPlan& plan, const format::Checkpoint& recipient) {
  std::set<std::string> names;
  for (const auto& [index, writes] : plan.writes) {
    names.insert(recipient.shards().at(index).file_name);
  }
  return names;
}

std::uint64_t changed_size(const InstallPlan& plan, const format::Checkpoint& recipient,
                           RoomForCopies& room) {
  std::uint64_t bytes = 0;
  for (const auto& [index, writes] : plan.writes) {
    const format::SafetensorsFile& shard = recipient.shards().at(index).file;
    bytes +=
        format::written_size(shard, writes, room.shares(shard.fd())) + undo_size(shard, writes);
  }
  return bytes;
}

std::vector<std::string> record_metadata(const format::Checkpoint& recipient,
                                         std::vector<FileChange>& changes) {
  std::vector<std::string> too_long;
  for (const format::Checkpoint::Shard& shard : recipient.shards()) {
    const auto change = std::ranges::find(changes, shard.file_name, &FileChange::path);
    if (change == changes.end() || !change->undo) continue;
    change->metadata = metadata_of(shard.file.fd(), shard.file_name);
    std::erase_if(change->metadata->attributes, [&](const auto& attribute) {
      const auto& [name, value] = attribute;
      if (value.size() <= kLongestAttribute) return false;
      too_long.push_back(fmt::format("{}: attribute {} ({})", shard.file_name, quote(name),
                                     counted(value.size(), "byte")));
      return true;
    });
  }
  return too_long;
}

std::vector<std::string> with_other_names(const format::Checkpoint& recipient,
                                          const std::set<std::string>& names) {
  std::vector<std::string> found;
  for (const format::Checkpoint::Shard& shard : recipient.shards()) {
    struct stat status {};
    if (::fstat(shard.file.fd(), &status) != 0) fail_errno(shard.file_name, "stat");
    if (names.contains(shard.file_name) && status.st_nlink > 1) found.push_back(shard.file_name);
  }
  return found;
}

void write_changed_shards(const InstallPlan& plan, const format::Checkpoint& recipient,
                          const fs::path& files_folder, const fs::path& undo_folder, Place place,
                          ModelFiles& files, std::vector<FileChange>& changes, const Work& work) {
  std::uint64_t bytes = 0;  // the old bytes are read again for their digest
  for (const auto& [index, writes] : plan.writes) {
    const format::SafetensorsFile& shard = recipient.shards().at(index).file;
    bytes += format::edit_size(shard) + undo_size(shard, writes);
  }
  const Work writing = work.phase("writing", bytes);
  for (const auto& [index, writes] : plan.writes) {
    const format::Checkpoint::Shard& shard = recipient.shards().at(index);
    const auto change = std::ranges::find(changes, shard.file_name, &FileChange::path);
    check(change != changes.end(), "a shard that is no file of the model");
    ModelFile& file = files.at(shard.file_name);
    if (FileState::of(shard.file.fd(), shard.file_name) != file.state) {
      refuse_changed(shard.file_name);
    }
    UndoFile undo(shard.file, writes, undo_folder / shard.file_name, place);
    const fs::path path = files_folder / shard.file_name;
    const UniqueFd fd = create_like(shard.file.fd(), path, place);
    const format::ShardEdit edit = format::copy_shard_with(
        shard.file, fd.get(), path.string(), writes, writing,
        [&](const format::TensorInfo& tensor, std::uint64_t offset,
            std::span<const std::byte> old) { undo.put(tensor, offset, old); });
    sync_fd(fd.get(), path.string());
    file.digest = change->before = edit.before;
    change->after = edit.after;
    change->undo = undo.finish(writing);
  }
}

}  // namespace organ::transplant
