// SPDX-License-Identifier: Apache-2.0
// What a registry holds and what it takes, from its log, its small objects and the folder alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "registry/registry.h"

#pragma GCC visibility push(default)

namespace organ::registry {

// Sizes in bytes. What versions refer to are manifests, organ.json, configs, files and signatures;
// weights that were taken down are not among them.
struct StoreStats {
  std::uint64_t entries = 0, log_bytes = 0;  // that the checkpoint covers
  // Times of the entries as they say, RFC 3339 UTC; empty without any entry.
  std::string first_entry, last_entry;
  // Different names, and versions of all of them, withdrawn ones too.
  std::uint64_t names = 0, versions = 0;
  std::uint64_t removed = 0;  // versions whose weights the log says were taken down
  // Bytes of all versions, each counted as if it stood alone; within one an object counts once.
  std::uint64_t logical = 0;
  // Number of different objects that versions refer to. What a damaged manifest refers to is not
  // known; of a damaged organ.json the files are, unless the weights were taken down.
  std::uint64_t objects = 0;
  // Bytes that those of them take which are in the folder, by the sizes of the files there.
  std::uint64_t stored = 0;
  // Bytes that versions have in common: `logical` less each object once.
  std::uint64_t shared = 0;
  // Files named by a digest that no version is known to refer to, and their bytes.
  std::uint64_t orphans = 0, orphan_bytes = 0;
  std::uint64_t quarantined = 0;  // below organ/quarantine
  std::uint64_t partial = 0;      // of interrupted pulls
  // Objects that are missing, of another size, or small and not what their name says; what large
  // ones hold is not read: organ fsck does that.
  std::uint64_t damaged = 0;
};

// Writes nothing in the registry and takes no lock: of what others add or remove meanwhile a part
// may be counted. Throws as Registry::open, and corrupt for a damaged log.
StoreStats store_stats(const std::filesystem::path& folder, const OpenOptions& options = {},
                       const Work& work = {});

}  // namespace organ::registry

#pragma GCC visibility pop
