// SPDX-License-Identifier: Apache-2.0
#include "registry/care/quarantine.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/file_system.h"
#include "format/base/path_status.h"
#include "registry/blobs/own_folder.h"
#include "registry/care/object_check.h"
#include "registry/care/orphans.h"

namespace organ::registry {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kHexWidth = 2 * Digest::kSize;

// A second name; a copy where the file system has no links, or has too many.
void keep_file(const fs::path& from, const fs::path& to) {
  if (is_taken(to)) return;  // the same bytes, from an earlier attempt
  if (::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), 0) == 0) return;
  if (errno == EEXIST) return;
  if (!lacks_links(errno) && errno != EMLINK) fail_errno(to.string(), "link");
  const UniqueFd fd = open_regular(from, Symlinks::refuse);
  AtomicFile copy(to);
  copy_contents(fd.get(), copy.fd(), to.string());
  copy.commit(AtomicFile::Mode::replace, 0444, Rights::folder);
}

constexpr char kUnreadable[] = "unreadable";

// Where it cannot have a second name it cannot be copied either: it goes, what it held is lost to
// readers anyway.
void keep_unreadable(const fs::path& from, const fs::path& to) {
  if (::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), 0) == 0 || errno == EEXIST) return;
  if (!lacks_links(errno) && errno != EMLINK) fail_errno(to.string(), "link");
  rename_path(from, to);
}

// What tells the bytes of a damaged object from others of its name; empty: it is the object.
std::string own_word(int fd, const Digest& digest, std::uint64_t size) {
  try {
    const std::uint64_t found = file_size(fd, digest.hex());
    const HashRange front{fd, 0, std::min(found, size)};
    const Digest own = hash_ranges({&front, 1}, digest.hex())[0];
    if (found <= size) return own == digest ? std::string() : own.hex().substr(0, 16);
    return fmt::format("{}-{}", own.hex().substr(0, 16), found);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::io) throw;
    return kUnreadable;
  }
}

// A name that nobody has.
fs::path free_name(const fs::path& folder, const std::string& stem) {
  for (unsigned number = 0;; ++number) {
    fs::path name = folder / fmt::format("{}{}", stem, number);
    if (!is_taken(name)) return name;
  }
}

struct DamagedCopy {
  StoredBlob blob;
  std::string name;
};

std::vector<DamagedCopy> damaged_in(const fs::path& folder) {
  std::vector<DamagedCopy> copies;
  if (!is_folder(folder)) return copies;
  for (const std::string& name : list_folder(folder)) {
    if (name.size() <= kHexWidth || name[kHexWidth] != '.') continue;
    const std::optional<Digest> digest = digest_named(name.substr(0, kHexWidth));
    if (!digest) continue;  // nothing of ours
    if (const auto blob = stored_at(folder / name, *digest)) copies.push_back({*blob, name});
  }
  return copies;
}

}  // namespace

Quarantine::Quarantine(const RegistryPaths& paths)
    : log_(paths.organ() / "log"),
      folder_(paths.quarantine()),
      removed_(folder_ / "removed"),
      damaged_(folder_ / "damaged"),
      blobs_(paths.root) {
  require_own();
}

void Quarantine::require_own() const {
  for (const fs::path& folder : {folder_, removed_, damaged_}) {
    (void)is_own_folder(folder);
  }
}

std::vector<GcThing> Quarantine::things() const {
  require_own();
  std::vector<GcThing> things;
  std::vector<std::string> strangers;
  for (const StoredBlob& blob : blobs_in(removed_, strangers)) {
    things.push_back({"organ/quarantine/removed/" + blob.digest.hex(), blob.digest, blob.size,
                      blob.changed, "was taken away as referred to by nothing"});
  }
  for (const auto& [blob, name] : damaged_in(damaged_)) {
    things.push_back({"organ/quarantine/damaged/" + name, blob.digest, blob.size, blob.changed,
                      "was damaged and is mended"});
  }
  return things;
}

std::vector<fs::path> Quarantine::copies_of(const Digest& digest) const {
  std::vector<fs::path> paths;
  if (is_file(removed_ / digest.hex())) paths.push_back(removed_ / digest.hex());
  for (const auto& [blob, name] : damaged_in(damaged_)) {
    if (blob.digest == digest) paths.push_back(damaged_ / name);
  }
  return paths;
}

std::uint64_t Quarantine::forget(const Digest& digest, std::uint64_t& bytes) const {
  require_own();
  const std::vector<fs::path> copies = copies_of(digest);
  for (const fs::path& copy : copies) {
    if (const auto stored = stored_at(copy, digest)) bytes += stored->size;
    remove_path(copy);
  }
  return copies.size();
}

void Quarantine::set_aside(const Digest& digest) const {
  require_own();
  create_folders(removed_, Rights::folder);
  const fs::path target = removed_ / digest.hex();
  if (path_status(target, Symlinks::refuse) == PathStatus::folder) {
    rename_path(target, free_name(removed_, digest.hex() + ".other"));
  }
  rename_path(blobs_.path(digest), target);
}

bool Quarantine::keep_damaged(const Digest& digest, std::uint64_t size) const {
  const fs::path name = blobs_.path(digest);
  if (!is_taken(name)) return false;
  require_own();
  create_folders(damaged_, Rights::folder);
  std::string unreadable;
  if (const UniqueFd fd = open_as_it_is(name, &unreadable)) {
    const std::string own = own_word(fd.get(), digest, size);
    if (own.empty()) return false;  // somebody mended it meanwhile
    if (own == kUnreadable) {
      keep_unreadable(name, damaged_ / (digest.hex() + "." + own));
    } else {
      keep_file(name, damaged_ / (digest.hex() + "." + own));
    }
  } else if (!unreadable.empty()) {
    keep_unreadable(name, damaged_ / (digest.hex() + "." + kUnreadable));
  } else {
    // No file at all: it cannot be written over by one, and nothing could read it.
    rename_path(name, free_name(damaged_, digest.hex() + ".other"));
  }
  sync_folder(damaged_);
  return true;
}

void Quarantine::keep_log() const {
  if (!is_file(log_)) return;
  require_own();
  create_folders(folder_, Rights::folder);
  const UniqueFd fd = open_regular(log_, Symlinks::refuse);
  const std::string own = hash_file_flat(fd.get(), log_.string()).hex().substr(0, 16);
  keep_file(log_, folder_ / ("damaged-log." + own));
  sync_folder(folder_);
}

void Quarantine::sync() const {
  for (const fs::path& folder : {removed_, damaged_}) {
    if (is_folder(folder)) sync_folder(folder);
  }
}

}  // namespace organ::registry
