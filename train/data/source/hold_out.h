// SPDX-License-Identifier: Apache-2.0
// What is kept apart for evaluation.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "train/data/source/data_source.h"

#pragma GCC visibility push(default)

namespace organ::train {

// Whole texts set aside for evaluation: chosen by hash of (seed, contents) until they hold at
// least `share` of the bytes, never all of them; texts of equal contents stand on one side, either
// side in the order of their paths. Throws invalid_argument for fewer than two different texts;
// not_found, io, corrupt. Reads each text once, to hash it. One text at least is on either side,
// however small `share` is.
struct HoldOut {
  std::vector<TextSource> training, held_out;
};
HoldOut hold_out_texts(const std::vector<TextSource>& texts, double share, std::uint64_t seed);

// Throws invalid_argument, with `name` in front, unless 0 < share < 1; so does hold_out_texts.
void check_held_out_share(double share, std::string_view name);

}  // namespace organ::train

#pragma GCC visibility pop
