// SPDX-License-Identifier: Apache-2.0
// What is kept apart for evaluation.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "format/base/progress.h"
#include "train/data/source/data_source.h"

#pragma GCC visibility push(default)

namespace organ::train {

// Whole texts set aside for evaluation: chosen by hash of (seed, contents) until they hold at
// least `share` of the bytes, never all of them; texts that say the same, however they were saved
// (as_saved_anyhow), stand on one side, either side in the order of their paths. One text at least
// is on either side, however small `share` is.
struct HoldOut {
  std::vector<TextSource> training, held_out;
  // Bytes of what is held out in those of all: above the share that was asked for by a part of a
  // text or more, and below it where one text holds nearly all.
  double share = 0;
};
// Reads each text once; `work` is told its bytes. Throws invalid_argument for fewer than two
// different texts; not_found, io; corrupt for a text of more than 1 GiB; cancelled between texts.
HoldOut hold_out_texts(const std::vector<TextSource>& texts, double share, std::uint64_t seed,
                       const Work& work = {});

// Throws invalid_argument, with `name` in front, unless 0 < share < 1; so does hold_out_texts.
void check_held_out_share(double share, std::string_view name);

}  // namespace organ::train

#pragma GCC visibility pop
