// SPDX-License-Identifier: Apache-2.0
// Taking away the weights of a version for good, where the law demands it: nobody gets them from
// this registry again, and its history can still be proved.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "format/manifest/reference.h"
#include "registry/registry.h"

#pragma GCC visibility push(default)

namespace organ::registry {

// Sizes in bytes. A dry run foretells `removed`, `kept` and the bytes of the objects; copies are
// not counted then.
struct TakedownReport {
  // One object with weights of the version.
  struct Object {
    std::string file;  // as the version's organ.json calls it
    BlobRef blob;
    // NAME:VERSION of others that are made of it too; empty: it goes.
    std::vector<std::string> versions;
  };
  std::string name, version;
  std::optional<Takedown> takedown;  // as the log has it; nothing: of a dry run
  std::vector<Object> removed;       // would be, of a dry run; those that were here
  std::vector<Object> kept;          // because of other versions
  std::uint64_t bytes = 0;           // of what was removed, copies included
  std::uint64_t copies = 0;          // in the quarantine and in interrupted pulls
  std::vector<std::string> notices;  // as Registry::take_notices
};

// One signed entry of the log, then the objects: those with weights that no other version is made
// of, and copies of them in organ/quarantine and organ/partial. Manifest, organ.json, card,
// signatures and all digests stay. Holds the registry's lock alone. Ended by force behind the entry
// it leaves objects that nobody is given any more; run again, for which `reason` is not needed, it
// takes the rest away. It is not taken back, and publish() and pull() refuse the version and its
// weights from then on. Throws not_found, invalid_argument (no reason), corrupt (an object that
// says what other versions are made of, or its own organ.json, cannot be read: nothing was done),
// as Registry::open, io, conflict, cancelled. A dry run needs no reason, writes nothing in the
// registry and locks it no longer than Registry::open to read does.
TakedownReport take_down(const std::filesystem::path& folder, const std::string& name,
                         const format::Version& version, const std::optional<std::string>& reason,
                         bool dry_run, const OpenOptions& options = {}, const Work& work = {});

}  // namespace organ::registry

#pragma GCC visibility pop
