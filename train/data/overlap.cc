// SPDX-License-Identifier: Apache-2.0
#include "train/data/overlap.h"

#include <algorithm>

namespace organ::train {
namespace {

// Rolling polynomial hash of every kOverlapGram consecutive ids.
template <typename Visit>
void for_each_gram(std::span<const std::int32_t> ids, Visit visit) {
  constexpr std::uint64_t kBase = 0x9e3779b97f4a7c15u;
  std::uint64_t top = 1;
  for (std::size_t i = 0; i < kOverlapGram; ++i) top *= kBase;
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    hash = hash * kBase + static_cast<std::uint64_t>(ids[i]) + 1;
    if (i >= kOverlapGram) {
      hash -= top * (static_cast<std::uint64_t>(ids[i - kOverlapGram]) + 1);
    }
    if (i + 1 >= kOverlapGram) visit(hash);
  }
}

template <typename Visit>
void for_each_gram(const TokenStream& data, const Work& work, Visit visit) {
  const auto starts = data.document_starts();
  for (std::size_t i = 0; i < starts.size(); ++i) {
    // Every document has the same lead-in, so none is shared by it.
    const auto first = static_cast<std::size_t>(data.text_start(starts[i]));
    const auto end =
        i + 1 < starts.size() ? static_cast<std::size_t>(starts[i + 1]) : data.ids().size();
    for_each_gram(data.ids().subspan(first, end - first), visit);
    work.advance(end - static_cast<std::size_t>(starts[i]));
  }
}

}  // namespace

OverlapCounter::OverlapCounter(const TokenStream& held_out) : held_out_(held_out) {
  for_each_gram(held_out, {}, [&](std::uint64_t) { ++grams_; });
  hashes_.reserve(grams_);
  for_each_gram(held_out, {}, [&](std::uint64_t hash) { hashes_.push_back(hash); });
  std::sort(hashes_.begin(), hashes_.end());
  hashes_.erase(std::unique(hashes_.begin(), hashes_.end()), hashes_.end());
  seen_.resize(hashes_.size());
}

// Where the hash stands in hashes_, or hashes_.size().
std::size_t OverlapCounter::place(std::uint64_t hash) const {
  const auto at = std::lower_bound(hashes_.begin(), hashes_.end(), hash);
  if (at == hashes_.end() || *at != hash) return hashes_.size();
  return static_cast<std::size_t>(at - hashes_.begin());
}

void OverlapCounter::add(const TokenStream& training, const Work& work) {
  for_each_gram(training, work, [&](std::uint64_t hash) {
    const std::size_t at = place(hash);
    if (at < hashes_.size()) seen_[at] = true;
  });
}

std::uint64_t OverlapCounter::found() const {
  std::uint64_t count = 0;
  for_each_gram(held_out_, {}, [&](std::uint64_t hash) { count += seen_[place(hash)]; });
  return count;
}

double OverlapCounter::share() const {
  return grams_ ? static_cast<double>(found()) / static_cast<double>(grams_) : 0;
}

double overlap_share(const TokenStream& training, const TokenStream& held_out, const Work& work) {
  const Work counting = work.phase("comparing with held-out data",
                                   static_cast<std::uint64_t>(training.tokens()), Unit::items);
  OverlapCounter counter(held_out);
  counter.add(training, counting);
  return counter.share();
}

}  // namespace organ::train
