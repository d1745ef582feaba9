// SPDX-License-Identifier: Apache-2.0
// organ.lock: which versions of a registry a project uses, to the byte, and of which history
// (schemas/lock.v1.schema.json). It lies with the project and is compared in its CI.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"
#include "registry/log/log_entry.h"

#pragma GCC visibility push(default)

namespace organ::registry {

// Bytes of a lock file that are read, and written, at most.
inline constexpr std::uint64_t kLockFileLimit = std::uint64_t{16} << 20;

// A file of a version, by its path in the organ folder.
struct LockedFile {
  std::string path;
  BlobRef blob;
  bool operator==(const LockedFile&) const = default;
};

// One version that a project uses.
struct LockedOrgan {
  std::string name;
  std::string asked;              // the reference that it was asked for by: NAME, NAME@^1.2, …
  std::string version;            // what that was then
  BlobRef manifest;               // the OCI manifest: its identity
  std::vector<LockedFile> files;  // organ.json first, then those that it lists
  std::uint64_t log_index = 0;    // of its publish entry, from 0; less than LockFile::log_size
  bool operator==(const LockedOrgan&) const = default;
};

// A value. Says nothing of whether the registry still has all this: check_lock() of locking.h does.
struct LockFile {
  std::string log_key;         // C2SP verifier key of the registry's log; begins with its origin
  std::uint64_t log_size = 0;  // entries that its checkpoint covered then
  Digest log_root;             // of the tree of these entries
  std::vector<LockedOrgan> organs;  // by name, each once

  // JSON on several lines. Equal values give equal bytes. Throws invalid_argument when they are
  // more than is read.
  std::string to_text() const;
  // Takes what to_text() writes, in whatever layout of JSON. Throws corrupt naming `subject`
  // (malformed, unknown members, names twice or out of order), unsupported_version.
  static LockFile parse(std::string_view text, std::string_view subject);
  // The same of a file. Throws also not_found, io.
  static LockFile load(const std::filesystem::path& path);

  // Throws not_found. The reference lives as long as `organs` is not changed.
  const LockedOrgan& find(std::string_view name) const;

  bool operator==(const LockFile&) const = default;
};

}  // namespace organ::registry

#pragma GCC visibility pop
