// SPDX-License-Identifier: Apache-2.0
#include "train/data/packing.h"

#include <algorithm>
#include <bit>
#include <numeric>

namespace organ::train {
namespace {

std::vector<Piece> cut_documents(std::span<const std::int64_t> starts, std::int64_t tokens,
                                 std::int64_t context) {
  std::vector<Piece> pieces;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const std::int64_t end = i + 1 < starts.size() ? starts[i + 1] : tokens;
    for (std::int64_t at = starts[i]; at < end; at += context) {
      const std::int64_t length = std::min(context, end - at);
      if (length > 1) pieces.push_back({at, length});
    }
  }
  return pieces;
}

// The room left in each of many windows; a tree of maxima finds the first that has enough.
class Rooms {
 public:
  Rooms(std::size_t windows, std::int64_t context)
      : leaves_(std::bit_ceil(std::max<std::size_t>(1, windows))), most_(2 * leaves_, context) {}

  // The first window with room for `length`, whose room shrinks by it.
  std::size_t take(std::int64_t length) {
    std::size_t node = 1;
    while (node < leaves_) node = 2 * node + (most_[2 * node] >= length ? 0 : 1);
    const std::size_t window = node - leaves_;
    most_[node] -= length;
    for (node /= 2; node > 0; node /= 2) {
      most_[node] = std::max(most_[2 * node], most_[2 * node + 1]);
    }
    return window;
  }

 private:
  std::size_t leaves_;
  std::vector<std::int64_t> most_;
};

}  // namespace

std::string_view to_string(Packing packing) { return packing == Packing::ffd ? "ffd" : "concat"; }

std::optional<Packing> parse_packing(std::string_view name) {
  if (name == "ffd") return Packing::ffd;
  if (name == "concat") return Packing::concat;
  return std::nullopt;
}

PackedWindows pack_first_fit_decreasing(std::span<const std::int64_t> document_starts,
                                        std::int64_t tokens, std::int64_t context) {
  std::vector<Piece> pieces = cut_documents(document_starts, tokens, context);
  std::stable_sort(pieces.begin(), pieces.end(),
                   [](const Piece& a, const Piece& b) { return a.length > b.length; });
  // No piece needs a window behind those of the pieces before it.
  Rooms rooms(pieces.size(), context);
  std::vector<std::size_t> window_of;
  PackedWindows packed;
  packed.first_piece.assign(1, 0);
  for (const Piece& piece : pieces) {
    window_of.push_back(rooms.take(piece.length));
    if (window_of.back() + 1 == packed.first_piece.size()) packed.first_piece.push_back(0);
    ++packed.first_piece[window_of.back() + 1];
  }
  std::partial_sum(packed.first_piece.begin(), packed.first_piece.end(),
                   packed.first_piece.begin());
  std::vector<std::size_t> next(packed.first_piece.begin(), packed.first_piece.end());
  packed.pieces.resize(pieces.size());
  for (std::size_t i = 0; i < pieces.size(); ++i) packed.pieces[next[window_of[i]]++] = pieces[i];
  return packed;
}

}  // namespace organ::train
