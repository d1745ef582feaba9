// SPDX-License-Identifier: Apache-2.0
#include "train/data/source/hold_out.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include <fmt/core.h>
#include "format/base/digest.h"
#include "format/base/fail.h"
#include "train/data/source/read_source.h"

namespace organ::train {

namespace {

// Texts that say the same.
struct Group {
  std::vector<TextSource> texts;
  double bytes = 0;
  Digest rank;  // of the member that comes first by it
};

void add_text(Group& group, const TextSource& source, std::string_view text, std::uint64_t seed) {
  const Digest rank = sha256(fmt::format("{} {}", seed, sha256(text).to_string()));
  if (group.texts.empty() || rank < group.rank) group.rank = rank;
  group.bytes += static_cast<double>(text.size());
  group.texts.push_back(source);
}

// By rank.
std::vector<Group> ranked_groups(const std::vector<TextSource>& texts, std::uint64_t seed,
                                 const Work& work) {
  const Work reading = work.phase("choosing held-out texts", bytes_ahead(texts));
  std::map<Digest, Group> groups;
  for (const TextSource& source : texts) {
    const TextBytes bytes(source);
    add_text(groups[sha256(as_saved_anyhow(bytes.text()))], source, bytes.text(), seed);
    reading.advance(bytes.text().size());
  }
  std::vector<Group> ranked;
  ranked.reserve(groups.size());
  for (auto& [contents, group] : groups) ranked.push_back(std::move(group));
  std::ranges::sort(ranked, {}, &Group::rank);
  return ranked;
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

HoldOut hold_out_texts(const std::vector<TextSource>& texts, double share, std::uint64_t seed,
                       const Work& work) {
  check_held_out_share(share, "held-out share");
  if (texts.size() < 2) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("--held-out-share: needs at least 2 data files, got {}", texts.size()),
                "name files with --held-out, or train without");
  }
  const std::vector<Group> groups = ranked_groups(texts, seed, work);
  if (groups.size() < 2) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("--held-out-share: all of {} hold the same",
                            counted(texts.size(), "data file")),
                "name files with --held-out, or train without");
  }
  double total = 0;
  for (const Group& group : groups) total += group.bytes;
  HoldOut result;
  double taken = 0;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const bool hold = i + 1 < groups.size() && (i == 0 || taken < share * total);
    if (hold) taken += groups[i].bytes;
    auto& side = hold ? result.held_out : result.training;
    side.insert(side.end(), groups[i].texts.begin(), groups[i].texts.end());
  }
  result.share = total > 0 ? taken / total : 0;
  sort_by_path(result.training);
  sort_by_path(result.held_out);
  return result;
}

}  // namespace organ::train
