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

// Sizes in bytes.
struct FsckReport {
  std::vector<DamagedObject> objects;
  // Of the log, its checkpoint and key: nothing else in the folder gives them back.
  std::vector<format::Finding> records;
  // Of catalog.db, index.json, policy.json: made anew from the rest.
  std::vector<format::Finding> views;
  std::vector<std::string> notes;  // what is no damage
  std::uint64_t entries = 0, versions = 0;
  std::vector<std::string> affected;  // NAME:VERSION that miss something
  std::uint64_t removed = 0;          // versions whose weights the log says were taken down
  std::uint64_t checked = 0;          // objects that were read
  std::uint64_t bytes = 0;            // of them
  std::uint64_t orphans = 0;          // objects that nothing refers to, and their bytes
  std::uint64_t orphan_bytes = 0;
};

// Reads everything and writes nothing in the registry. Needs neither catalog nor index, and goes on
// behind damage of the log as far as it can be read. Objects are checked without a lock: what an
// entry refers to was whole before the entry, and is removed behind another one only, which is
// asked for when something is missing. Throws not_found,
// unsupported_version (no registry), io, conflict (the views are being written for minutes),
// cancelled.
FsckReport fsck(const std::filesystem::path& folder, const OpenOptions& options = {},
                const Work& work = {});

}  // namespace organ::registry

#pragma GCC visibility pop
