// SPDX-License-Identifier: Apache-2.0
#include "train/passes/cache_folder.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <system_error>
#include <tuple>
#include <utility>

#include <sys/stat.h>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"

namespace organ::train {
namespace {

namespace fs = std::filesystem;

// A writer that died leaves a temporary file; nobody writes one entry for an hour.
constexpr auto kAbandoned = std::chrono::hours(1);

struct Entry {
  fs::path path;
  std::uint64_t size = 0;
  fs::file_time_type used;
};

bool is_entry_name(std::string_view name) {
  return name.size() == 2 * Digest::kSize &&
         name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// ".<entry>.<random>.tmp", as AtomicFile names them.
bool is_temporary_name(std::string_view name) {
  return name.starts_with('.') && name.ends_with(".tmp") &&
         is_entry_name(name.substr(1).substr(0, 2 * Digest::kSize));
}

// The entries, those not used for longest first. Files that another run removes meanwhile are
// left out.
std::vector<Entry> look(const fs::path& folder) {
  std::vector<Entry> entries;
  for (const auto& name : list_folder(folder)) {
    const bool entry = is_entry_name(name);
    if (!entry && !is_temporary_name(name)) continue;
    std::error_code gone;
    Entry found{folder / name, 0, fs::last_write_time(folder / name, gone)};
    if (!gone) found.size = fs::file_size(found.path, gone);
    if (gone) continue;
    if (entry) {
      entries.push_back(std::move(found));
    } else if (fs::file_time_type::clock::now() - found.used > kAbandoned) {
      fs::remove(found.path, gone);
    }
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.used, a.path) < std::tie(b.used, b.path);
  });
  return entries;
}

Digest seal(const Digest& key, std::span<const std::byte> bytes) {
  Sha256Hasher hasher;
  hasher.update(std::as_bytes(std::span(key.bytes())));
  hasher.update(bytes);
  return hasher.finish();
}

std::optional<UniqueFd> open_entry(const fs::path& path) {
  try {
    return open_regular(path, Symlinks::refuse);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) return std::nullopt;
    throw;
  }
}

// Keeps others from making room at the same time, where it can: two who do remove more than they
// must, and nothing worse. The file of another user can be locked where it cannot be written.
std::optional<FileLock> lock_folder(const fs::path& folder) {
  for (const auto kind : {FileLock::Kind::exclusive, FileLock::Kind::shared}) {
    try {
      return FileLock(folder / ".lock", kind);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::conflict) break;
    }
  }
  return std::nullopt;
}

}  // namespace

CacheFolder::CacheFolder(fs::path folder, std::uint64_t byte_limit, unsigned permissions,
                         std::function<void(std::string_view)> warn)
    : folder_(std::move(folder)),
      byte_limit_(byte_limit),
      permissions_(permissions),
      warn_(std::move(warn)) {
  create_folders(folder_);
}

void CacheFolder::trouble(const Error& error) {
  if (std::exchange(warned_, true) || !warn_) return;
  warn_(std::string("--cache: what cannot be read there is computed, what cannot be written is not "
                    "kept: ") +
        error.message());
}

bool CacheFolder::read(const Digest& key, std::span<std::byte> out) {
  try {
    return read_entry(key, out);
  } catch (const Error& error) {
    trouble(error);
    return false;
  }
}

bool CacheFolder::read_entry(const Digest& key, std::span<std::byte> out) {
  const std::string name = key.hex();
  const fs::path path = folder_ / name;
  const auto fd = open_entry(path);
  if (!fd) return false;
  const std::string subject = path.string();
  std::array<std::uint8_t, Digest::kSize> stored{};
  const bool sized = file_size(fd->get(), subject) == out.size() + stored.size();
  if (sized) {
    read_at(fd->get(), 0, out, subject);
    read_at(fd->get(), out.size(), std::as_writable_bytes(std::span(stored)), subject);
  }
  if (!sized || Digest(stored) != seal(key, out)) {
    ++damaged_;
    (void)remove(path);
    return false;
  }
  used_.insert(name);
  // Where the entry is another user's this fails, and the entry counts as used when it was made.
  (void)::futimens(fd->get(), nullptr);
  return true;
}

void CacheFolder::write(const Digest& key, std::span<const std::byte> bytes) {
  try {
    write_entry(key, bytes);
  } catch (const Error& error) {
    trouble(error);
  }
}

void CacheFolder::write_entry(const Digest& key, std::span<const std::byte> bytes) {
  const std::uint64_t size = bytes.size() + Digest::kSize;
  if (!make_room(size)) return;
  const std::string name = key.hex();
  AtomicFile file(folder_ / name);
  file.write(bytes);
  file.write(std::as_bytes(std::span(seal(key, bytes).bytes())));
  file.commit(AtomicFile::Mode::replace, permissions_);
  used_.insert(name);
  bytes_ += size;
  unseen_bytes_ += size;
}

// False where the entry stays.
bool CacheFolder::remove(const fs::path& path) {
  try {
    remove_path(path);
    return true;
  } catch (const Error& error) {
    trouble(error);
    return false;
  }
}

bool CacheFolder::make_room(std::uint64_t bytes) {
  if (full_) return false;
  const auto fits = [&] { return bytes <= byte_limit_ && bytes_ <= byte_limit_ - bytes; };
  if (looked_ && fits() && unseen_bytes_ < byte_limit_ / 16) return true;
  const auto lock = lock_folder(folder_);
  const auto entries = look(folder_);
  bytes_ = 0;
  for (const auto& entry : entries) bytes_ += entry.size;
  for (const auto& entry : entries) {
    if (fits()) break;
    if (used_.contains(entry.path.filename().string())) continue;
    if (remove(entry.path)) bytes_ -= entry.size;
  }
  looked_ = true;
  unseen_bytes_ = 0;
  full_ = !fits();
  return !full_;
}

}  // namespace organ::train
