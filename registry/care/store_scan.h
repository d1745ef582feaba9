// SPDX-License-Identifier: Apache-2.0
// All objects that a log refers to, each checked once.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "registry/care/damage.h"
#include "registry/care/store_walk.h"

namespace organ::registry {

// A damaged object with what mending it needs to know.
struct DamagedUse {
  DamagedObject damage;
  std::vector<Digest> pieces;  // of kChunkSize each, the last may be shorter; none: no digests
  // The first that needs it; where an organ.json describes the object, the first with such a one.
  // Never null; lives as long as the LoggedState.
  const LoggedVersion* version;
  // False: its bytes are those of its name, and make no sense: no other bytes would be it.
  bool mendable = true;
};

// What was found. Sizes in bytes.
struct StoreScan {
  // Each object once: what is small in log order, then files.
  std::vector<DamagedUse> damaged;
  std::set<Digest> referred;          // every digest that is known to be referred to
  std::vector<std::string> affected;  // NAME:VERSION of those that need it, in log order
  // Objects of a newer organ, which are no damage. What they refer to is not known, but for files
  // that a manifest lists.
  std::vector<std::string> notes;
  // Different objects that are referred to, missing ones and files that were not read too, and the
  // bytes that they must have.
  std::uint64_t checked = 0, bytes = 0;
};

// `state` outlives what is returned. What is small is read first, for each version anew, and once
// more when there is damage. Then the files, a phase of their bytes: each once, however many
// versions share it, and what is damaged once more. Takes no lock. Throws io, cancelled; a single
// object that cannot be read is damage.
enum class ScanDepth { small_objects, everything };
StoreScan scan_store(const BlobStore& blobs, const LoggedState& state, ScanDepth depth,
                     const Work& work);

}  // namespace organ::registry
