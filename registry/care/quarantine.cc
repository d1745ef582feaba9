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
  copy.commit(AtomicFile::Mode::replace, 0444);
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
    std::optional<Digest> digest;
    try {
      digest = Digest::parse_hex(std::string_view(name).substr(0, kHexWidth));
    } catch (const Error&) {
      continue;  // nothing of ours
    }
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
      blobs_(paths.root) {}

std::vector<GcThing> Quarantine::things() const {
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

void Quarantine::set_aside(const Digest& digest) const {
  create_folders(removed_);
  rename_path(blobs_.path(digest), removed_ / digest.hex());
}

bool Quarantine::keep_damaged(const Digest& digest) const {
  const fs::path name = blobs_.path(digest);
  if (!is_taken(name)) return false;
  create_folders(damaged_);
  if (const UniqueFd fd = open_as_it_is(name)) {
    std::string own = "unreadable";
    try {
      const Digest found = hash_file_flat(fd.get(), name.string());
      if (found == digest) return false;  // somebody mended it meanwhile
      own = found.hex().substr(0, 16);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::io) throw;
    }
    keep_file(name, damaged_ / (digest.hex() + "." + own));
  } else {
    // No file at all: it cannot be written over by one, and nothing could read it.
    for (unsigned number = 0;; ++number) {
      const fs::path kept = damaged_ / fmt::format("{}.other{}", digest.hex(), number);
      if (is_taken(kept)) continue;
      rename_path(name, kept);
      break;
    }
  }
  sync_folder(damaged_);
  return true;
}

void Quarantine::keep_log() const {
  if (!is_file(log_)) return;
  create_folders(folder_);
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
