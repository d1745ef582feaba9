// SPDX-License-Identifier: Apache-2.0
// Computed bytes kept in a folder under the digest of everything they were computed from, so that
// later runs need not compute them again. Several runs may share one folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"
#include "format/base/error.h"

namespace organ::train {

// An entry is a file <hex of key>: the bytes, then SHA-256(key, bytes). It appears whole or not at
// all, is checked at every reading, and one that does not hold what it says is removed, never
// used. Other files of the folder are left alone. No trouble with an entry ends a run, such as one
// of another user that this one may not read, replace or remove, or a full disk: it counts as not
// there, is not kept or stays. Not thread-safe.
class CacheFolder {
 public:
  // Makes the folder. The entries of all runs together take `byte_limit` bytes; runs that write at
  // the same time may pass it by a sixteenth each, until one of them looks again. No entry gets a
  // permission bit that is not among `permissions`: those of the weights it comes from. `warn` is
  // told of the first trouble with the folder's files. Throws io when there is no such folder.
  CacheFolder(std::filesystem::path folder, std::uint64_t byte_limit, unsigned permissions = 0666,
              std::function<void(std::string_view)> warn = {});

  // Fills `out` from the entry of `key`; false when there is none of this size that is sound.
  bool read(const Digest& key, std::span<std::byte> out);
  // Keeps an entry. Where there is no room, entries that were not used for longest go first, but
  // none that this run has used; when nothing else is left, nothing is kept from then on.
  void write(const Digest& key, std::span<const std::byte> bytes);

  std::uint64_t damaged() const { return damaged_; }  // entries removed for what they held

 private:
  bool read_entry(const Digest& key, std::span<std::byte> out);
  void write_entry(const Digest& key, std::span<const std::byte> bytes);
  bool make_room(std::uint64_t bytes);
  bool remove(const std::filesystem::path& path);
  void trouble(const Error& error);

  std::filesystem::path folder_;
  std::uint64_t byte_limit_;
  unsigned permissions_;
  std::uint64_t bytes_ = 0;         // of all entries, when last looked, and what was added since
  std::uint64_t unseen_bytes_ = 0;  // added since
  std::uint64_t damaged_ = 0;
  bool looked_ = false, full_ = false, warned_ = false;
  std::function<void(std::string_view)> warn_;
  std::set<std::string> used_;  // names of this run's entries
};

}  // namespace organ::train
