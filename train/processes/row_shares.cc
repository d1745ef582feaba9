// SPDX-License-Identifier: Apache-2.0
#include "train/processes/row_shares.h"

#include <algorithm>

namespace organ::train {

std::vector<std::size_t> rows_of_process(std::span<const std::int64_t> windows, int rank,
                                         int size) {
  const auto processes = static_cast<std::size_t>(size), own = static_cast<std::size_t>(rank);
  std::vector<std::size_t> room(processes), rows, left;
  for (std::size_t i = 0; i < processes; ++i) {
    room[i] = windows.size() * (i + 1) / processes - windows.size() * i / processes;
  }
  for (std::size_t row = 0; row < windows.size(); ++row) {
    const std::size_t owner = static_cast<std::size_t>(windows[row]) % processes;
    if (room[owner] == 0) {
      left.push_back(row);
      continue;
    }
    --room[owner];
    if (owner == own) rows.push_back(row);
  }
  std::size_t next = 0;
  for (const std::size_t row : left) {
    while (room[next] == 0) ++next;
    --room[next];
    if (next == own) rows.push_back(row);
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

}  // namespace organ::train
