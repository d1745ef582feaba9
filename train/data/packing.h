// SPDX-License-Identifier: Apache-2.0
// Documents as pieces of windows, so that short ones share a window and none is cut needlessly.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#pragma GCC visibility push(default)

namespace organ::train {

// concat: documents joined and cut every `context` tokens. ffd: first-fit decreasing, only
// documents longer than a window are cut.
enum class Packing { concat, ffd };
std::string_view to_string(Packing packing);                  // as written here
std::optional<Packing> parse_packing(std::string_view name);  // nullopt: no such name

// A stretch of the token stream that stands in one window: tokens [start, start + length) of one
// document.
struct Piece {
  std::int64_t start = 0, length = 0;
};

// Window w holds pieces [first_piece[w], first_piece[w + 1]), one behind the other.
struct PackedWindows {
  std::vector<Piece> pieces;
  // One more than windows: the last is the number of pieces.
  std::vector<std::size_t> first_piece;

  std::int64_t count() const { return static_cast<std::int64_t>(first_piece.size()) - 1; }
  // `index` is in [0, count()); not checked. Valid as long as `pieces`.
  std::span<const Piece> window(std::int64_t index) const {
    const auto at = static_cast<std::size_t>(index);
    return std::span(pieces).subspan(first_piece[at], first_piece[at + 1] - first_piece[at]);
  }
};

// Documents start at the given places of a stream of `tokens` tokens. Pieces of one token, which
// have nothing to predict and nobody to inform, are left out. Longest first, each into the first
// window with room (D. S. Johnson, 1973); ties in stream order. O(n log n). Starts ascend;
// `context` is 1 or more, and no window has more tokens. Where no document has two tokens there is
// no window.
PackedWindows pack_first_fit_decreasing(std::span<const std::int64_t> document_starts,
                                        std::int64_t tokens, std::int64_t context);

}  // namespace organ::train

#pragma GCC visibility pop
