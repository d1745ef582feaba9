// SPDX-License-Identifier: Apache-2.0
#include "train/data/source/hold_out.h"

#include <algorithm>

#include <fmt/core.h>
#include "format/base/fail.h"
#include "train/data/source/read_source.h"

namespace organ::train {

namespace {

struct RankedText {
  TextSource source;
  std::uint64_t size;
  Digest rank;
};

RankedText rank_text(const TextSource& source, std::uint64_t seed) {
  const SourceBytes bytes = hash_text(source);
  return {source, bytes.size, sha256(fmt::format("{} {}", seed, bytes.digest.to_string()))};
}

// Of equal paths, which only memory can have, in the order in which they were chosen.
void sort_by_path(std::vector<TextSource>& sources) {
  std::ranges::stable_sort(sources, {}, [](const TextSource& source) { return source.path(); });
}

}  // namespace

void check_held_out_share(double share, std::string_view name) {
  if (share > 0 && share < 1) return;
  fail(ErrorCode::invalid_argument, "{}: {} is out of range, expected more than 0 and less than 1",
       name, share);
}

HoldOut hold_out_texts(const std::vector<TextSource>& texts, double share, std::uint64_t seed) {
  check_held_out_share(share, "held-out share");
  if (texts.size() < 2) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("--held-out-share: needs at least 2 data files, got {}", texts.size()),
                "name files with --held-out, or train without");
  }
  std::vector<RankedText> ranked;
  ranked.reserve(texts.size());
  for (const auto& text : texts) ranked.push_back(rank_text(text, seed));
  std::sort(ranked.begin(), ranked.end(),
            [](const RankedText& a, const RankedText& b) { return a.rank < b.rank; });
  double total = 0;
  for (const auto& text : ranked) total += static_cast<double>(text.size);
  HoldOut result;
  double taken = 0;
  for (auto first = ranked.begin(); first != ranked.end();) {
    const auto end = std::find_if(first, ranked.end(),
                                  [&](const RankedText& text) { return text.rank != first->rank; });
    const bool hold = end != ranked.end() && (first == ranked.begin() || taken < share * total);
    for (; first != end; ++first) {
      if (hold) taken += static_cast<double>(first->size);
      (hold ? result.held_out : result.training).push_back(first->source);
    }
  }
  if (result.held_out.empty()) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("--held-out-share: all of {} hold the same",
                            counted(texts.size(), "data file")),
                "name files with --held-out, or train without");
  }
  sort_by_path(result.training);
  sort_by_path(result.held_out);
  return result;
}

}  // namespace organ::train
