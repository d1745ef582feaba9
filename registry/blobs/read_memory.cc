// SPDX-License-Identifier: Apache-2.0
#include "registry/blobs/read_memory.h"

#include <algorithm>
#include <vector>

#include <nlohmann/json.hpp>

#include "format/base/error.h"
#include "format/base/file.h"
#include "format/base/file_system.h"
#include "format/base/json.h"
#include "format/base/path_status.h"

namespace organ::registry {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kVersion = 1;
constexpr std::uint64_t kLimit = std::uint64_t{512} << 20;  // of what is read back
constexpr std::size_t kMostObjects = 1'000'000;

fs::path file_of(const fs::path& folder, const fs::path& location) {
  return folder / (sha256(location.string()).hex() + ".json");
}

FileLock lock_of(const fs::path& file, const Work& work) {
  return {file.parent_path() / "lock", FileLock::Kind::exclusive, FileLock::kUsualWait, work};
}

}  // namespace

ReadMemory::ReadMemory(const fs::path& folder, const fs::path& location)
    : file_(file_of(folder, location)), location_(location.string()) {
  load();
}

void ReadMemory::load() {
  try {
    if (is_taken(file_)) parse(read_file(file_, kLimit));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    reads_.clear();  // it saves time and proves nothing
  }
}

void ReadMemory::parse(std::string_view text) {
  const Json json = parse_json(text, {.bytes = kLimit, .depth = 4}, "what was read");
  const JsonObject object(json, "what was read");
  object.require_schema(kVersion, "a newer organ wrote it");
  forgotten_at_ = object.unsigned_integer("forgotten");
  for (const JsonObject& row : object.objects("objects")) {
    const Read read{.state = {row.unsigned_integer("inode"), row.unsigned_integer("size"),
                              row.unsigned_integer("modified"), row.unsigned_integer("changed")},
                    .time = row.unsigned_integer("read")};
    reads_.insert_or_assign(row.digest("contents"), read);
  }
}

std::optional<std::uint64_t> ReadMemory::last_read(const Digest& contents,
                                                   const FileStamp& now) const {
  const auto found = reads_.find(contents);
  if (found == reads_.end()) return std::nullopt;
  found->second.is_used = true;
  if (found->second.state != now) return std::nullopt;
  return found->second.time;
}

void ReadMemory::keep(const Digest& contents, const FileStamp& state, std::uint64_t time) {
  forgotten_.erase(contents);
  reads_.insert_or_assign(contents,
                          Read{.state = state, .time = time, .is_used = true, .is_new = true});
}

void ReadMemory::forget(const Digest& contents) {
  reads_.erase(contents);
  forgotten_.insert(contents);
}

std::string ReadMemory::to_text() const {
  std::vector<std::pair<std::uint64_t, const Digest*>> used;  // time, contents
  for (const auto& [contents, read] : reads_) used.emplace_back(read.time, &contents);
  std::ranges::sort(used, [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : *a.second < *b.second;
  });
  used.resize(std::min(used.size(), kMostObjects));
  Json objects = Json::array();
  for (const auto& [time, contents] : used) {
    const FileStamp& state = reads_.at(*contents).state;
    objects.push_back({{"contents", contents->to_string()},
                       {"inode", state.inode},
                       {"size", state.size},
                       {"modified", state.modified},
                       {"changed", state.changed},
                       {"read", time}});
  }
  return canonical_json({{"schema_version", kVersion},
                         {"location", location_},
                         {"forgotten", forgotten_at_},
                         {"objects", objects}});
}

void ReadMemory::save(std::uint64_t time, const Work& work) const {
  if (file_.empty()) return;
  create_folders(file_.parent_path(), Rights::owner);
  const FileLock lock = lock_of(file_, work);
  ReadMemory now(file_.parent_path(), location_);
  // A time to come is of a clock that was wrong.
  const std::uint64_t forgotten = now.forgotten_at_ <= time ? now.forgotten_at_ : 0;
  for (const auto& [contents, read] : reads_) {
    if (read.is_new && read.time > forgotten) {
      now.reads_.insert_or_assign(contents, read);
    } else if (!read.is_used) {
      now.reads_.erase(contents);
    }
  }
  for (const Digest& contents : forgotten_) now.reads_.erase(contents);
  if (!forgotten_.empty()) now.forgotten_at_ = std::max(now.forgotten_at_, time);
  write_file(file_, now.to_text(), AtomicFile::Mode::replace, 0600);
}

void ReadMemory::forget_all(const fs::path& folder, const fs::path& location, std::uint64_t time,
                            const Work& work) {
  if (folder.empty()) return;
  ReadMemory none;
  none.file_ = file_of(folder, location);
  none.location_ = location.string();
  none.forgotten_at_ = time;
  create_folders(folder, Rights::owner);
  std::optional<FileLock> lock;
  try {
    lock.emplace(lock_of(none.file_, work));
  } catch (const Error& error) {
    // What was found is forgotten all the same: whoever holds it reads the file before it writes.
    if (error.code() != ErrorCode::conflict) throw;
  }
  write_file(none.file_, none.to_text(), AtomicFile::Mode::replace, 0600);
}

}  // namespace organ::registry
