// SPDX-License-Identifier: Apache-2.0
// The rows of the embedding that a new prompt starts as.
#pragma once

#include <cstdint>
#include <span>

#include "format/checkpoint/checkpoint.h"
#include "train/adapter/adapter.h"

namespace organ::train {

// Fills a prompt with the embedding's rows of `ids`, over again where they are fewer than its
// positions; of more ids the first count. Reads the whole table once. Throws invalid_argument for
// no ids, or ids outside of the vocabulary; corrupt, io.
void start_from_ids(Adapter& prompt, const format::Checkpoint& checkpoint,
                    std::span<const std::int32_t> ids);
// The same with ids drawn from the whole vocabulary.
void start_from_vocabulary(Adapter& prompt, const format::Checkpoint& checkpoint,
                           std::uint64_t seed);

}  // namespace organ::train
