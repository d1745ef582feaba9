// SPDX-License-Identifier: Apache-2.0
// What a registry holds and what it takes, from its log, its small objects and the folder alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "registry/registry.h"

#pragma GCC visibility push(default)

namespace organ::registry {

// Sizes in bytes.
struct StoreStats {
  std::uint64_t entries = 0, log_bytes = 0;  // that the checkpoint covers
  std::string first_entry, last_entry;       // times, RFC 3339 UTC
  std::uint64_t names = 0, versions = 0;
  std::uint64_t removed = 0;  // versions whose weights the log says were taken down
  std::uint64_t logical = 0;  // of all versions, each counted as if it stood alone
  std::uint64_t objects = 0;  // different ones that versions refer to, as far as is known
  std::uint64_t stored = 0;   // of them, in the folder
  std::uint64_t shared = 0;   // that versions have in common: logical less what each needs once
  std::uint64_t orphans = 0, orphan_bytes = 0;
  std::uint64_t quarantined = 0;  // below organ/quarantine
  std::uint64_t partial = 0;      // of interrupted pulls
  // Objects that are missing, of another size, or small and not what their name says; what large
  // ones hold is not read: organ fsck does that.
  std::uint64_t damaged = 0;
};

// Writes nothing in the registry. Throws as Registry::open, and corrupt for a damaged log.
StoreStats store_stats(const std::filesystem::path& folder, const OpenOptions& options = {},
                       const Work& work = {});

}  // namespace organ::registry

#pragma GCC visibility pop
