// SPDX-License-Identifier: Apache-2.0
// Which process computes which row of a step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace organ::train {

// The rows of a step that process `rank` of `size` computes, ascending; `windows` has the window of
// each row. Every row is one process's, and all have equally many to within one. A window goes to
// the process that its number names while that one has room, so that what is kept of it serves the
// next epoch too. Depends on the arguments alone: a resumed run divides its steps as the straight
// one did.
std::vector<std::size_t> rows_of_process(std::span<const std::int64_t> windows, int rank, int size);

}  // namespace organ::train
