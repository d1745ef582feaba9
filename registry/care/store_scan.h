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
  std::vector<Digest> pieces;    // of kChunkSize each, the last may be shorter; none: no digests
  const LoggedVersion* version;  // the first that needs it
  bool mendable = true;          // false: its bytes are those of its name, and make no sense
};

struct StoreScan {
  std::vector<DamagedUse> damaged;
  std::set<Digest> referred;          // every digest that is known to be referred to
  std::vector<std::string> affected;  // versions, in log order
  std::vector<std::string> notes;
  std::uint64_t checked = 0, bytes = 0;  // objects that were read, and their bytes
};

// `state` outlives what is returned. What is small is read first, then the files, a phase of their
// bytes; all once, however many versions share it. Throws io, cancelled.
enum class ScanDepth { small_objects, everything };
StoreScan scan_store(const BlobStore& blobs, const LoggedState& state, ScanDepth depth,
                     const Work& work);

}  // namespace organ::registry
