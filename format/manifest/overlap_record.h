// SPDX-License-Identifier: Apache-2.0
// How much of the held-out data training saw: the optional field `held_out_overlap` of organ.json.
#pragma once

#include <cstdint>
#include <optional>

#include "format/base/digest.h"
#include "format/manifest/manifest.h"

namespace organ::format {

struct OverlapRecord {
  std::uint64_t gram_tokens = 0;  // length of the sequences that were compared, 1 or more
  double share = 0;               // of the held-out ones that occur in the training data, 0 to 1
  Digest dataset_digest;          // of the held-out data, as in Evaluation
};

// The object that the field holds.
JsonText overlap_text(const OverlapRecord& record);
// Puts it into `manifest.extensions`, over one that is there. Checks nothing.
void record_overlap(const OverlapRecord& record, Manifest& manifest);

// nullopt where nobody counted. Throws corrupt for another form of it.
std::optional<OverlapRecord> overlap_record(const Manifest& manifest);

}  // namespace organ::format
