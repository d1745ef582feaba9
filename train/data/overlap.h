// SPDX-License-Identifier: Apache-2.0
// How much of a test text was already in the training text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "format/base/progress.h"
#include "train/data/token_stream.h"

namespace organ::train {

// Length of the sequences of token ids that are compared, as GPT-3's contamination study did.
inline constexpr std::size_t kOverlapGram = 13;

// Counts which sequences of a held-out text also occur in training data given piece by piece.
// Sequences lie inside one document. They are compared by a 64-bit hash, so that memory is little
// more than 8 bytes per held-out token whatever the size of the training data. Two sequences of one
// hash count as equal. Lead-ins, which all documents share, are left out. Not thread-safe.
class OverlapCounter {
 public:
  // Borrows `held_out`, which has to stay as it is while this lives.
  explicit OverlapCounter(const TokenStream& held_out);
  // One piece of the training data; nothing of it is kept. Neither the order of the pieces nor a
  // piece given twice changes anything. `work` is told its tokens, document by document; throws
  // cancelled.
  void add(const TokenStream& training, const Work& work = {});

  std::uint64_t grams() const { return grams_; }  // of the held-out text, repeated ones each time
  // Those that were in the training data given so far. Goes through the held-out text anew.
  std::uint64_t found() const;
  double share() const;  // found() of grams(), 0 without grams

 private:
  std::size_t place(std::uint64_t hash) const;

  const TokenStream& held_out_;
  std::vector<std::uint64_t> hashes_;  // ascending, each once
  std::vector<bool> seen_;
  std::uint64_t grams_ = 0;
};

// OverlapCounter::share() of `held_out` for training data of one piece. Throws cancelled.
double overlap_share(const TokenStream& training, const TokenStream& held_out,
                     const Work& work = {});

}  // namespace organ::train
