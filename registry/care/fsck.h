// SPDX-License-Identifier: Apache-2.0
// Whether a registry is what its log says: every object read once, however many versions share it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "format/base/finding.h"
#include "registry/care/damage.h"
#include "registry/registry.h"

#pragma GCC visibility push(default)

namespace organ::registry {

// Sizes in bytes. Nothing is wrong when `objects`, `records` and `views` are empty.
struct FsckReport {
  // Damaged or missing, each once, however many versions need it.
  std::vector<DamagedObject> objects;
  // Of organ/log, organ/checkpoint and the key (organ/trust/log.vkey), which are their subjects:
  // nothing else in the folder gives them back, and repair() only the first. Of class
  // untrusted: the history is not the one that this user has seen. When the key itself cannot be
  // read nothing else was looked at.
  std::vector<format::Finding> records;
  // Of catalog.db, index.json, policy.json: made anew from the rest. Not looked at when the log is
  // damaged, which a note says.
  std::vector<format::Finding> views;
  std::vector<std::string> notes;  // what is no damage
  // Of the log, as far as it could be read.
  std::uint64_t entries = 0, versions = 0;
  // NAME:VERSION of those that need one of `objects`, in log order.
  std::vector<std::string> affected;
  std::uint64_t removed = 0;  // versions whose weights the log says were taken down
  // Different objects that were looked at, those that are missing too, and the bytes that they must
  // have together.
  std::uint64_t checked = 0;
  std::uint64_t bytes = 0;
  std::uint64_t orphans = 0;  // objects that nothing refers to, and their bytes
  std::uint64_t orphan_bytes = 0;
};

// Reads everything and writes nothing in the registry. What the user has seen of it is compared and
// not renewed; when an object is damaged, options.read_memory forgets this registry. Needs neither
// catalog nor index, and goes on behind damage of the log as far as it can be read. Objects are
// checked without a lock: what an entry refers to was whole before the entry, and is removed behind
// another one only, which is asked for when something is missing. Throws not_found,
// unsupported_version (no registry), io, conflict (the views are being written for minutes),
// cancelled.
FsckReport fsck(const std::filesystem::path& folder, const OpenOptions& options = {},
                const Work& work = {});

}  // namespace organ::registry

#pragma GCC visibility pop
