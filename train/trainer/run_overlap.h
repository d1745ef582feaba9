// SPDX-License-Identifier: Apache-2.0
// Beside the figures of held-out data: how much of that is memory.
#pragma once

#include <optional>

#include "format/manifest/overlap_record.h"
#include "train/data/overlap.h"
#include "train/data/run_data.h"

namespace organ::train {

// The share of the held-out data's 13-grams of tokens that the training data hold too, as
// organ.json and baseline.json record it, with the digest of the held-out data. nullopt without
// held-out data.
inline std::optional<format::OverlapRecord> run_overlap(const RunData& data) {
  if (!data.overlap || !data.held_out) return std::nullopt;
  return format::OverlapRecord{kOverlapGram, *data.overlap, data.held_out->stream().digest()};
}

}  // namespace organ::train
