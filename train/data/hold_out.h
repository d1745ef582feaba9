// SPDX-License-Identifier: Apache-2.0
// What is kept apart for evaluation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#pragma GCC visibility push(default)

namespace organ::train {

class TokenStream;

// Whole files set aside for evaluation: chosen by hash of (seed, contents) until they hold at
// least `share` of the bytes, never all of them. Throws invalid_argument for fewer than two files.
struct HoldOut {
  std::vector<std::filesystem::path> training, held_out;
};
HoldOut hold_out_files(const std::vector<std::filesystem::path>& files, double share,
                       std::uint64_t seed);

// Throws invalid_argument when a file (by its contents) is in both.
void check_disjoint(const TokenStream& training, const TokenStream& held_out);

}  // namespace organ::train

#pragma GCC visibility pop
