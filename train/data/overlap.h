// SPDX-License-Identifier: Apache-2.0
// How much of a test text was already in the training text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "train/data/token_stream.h"

namespace organ::train {

// Length of the sequences of token ids that are compared, as GPT-3's contamination study did.
inline constexpr std::size_t kOverlapGram = 13;

// Counts which sequences of a held-out text also occur in training data given piece by piece.
// Sequences lie inside one document. They are compared by a 64-bit hash, so that memory is 9 bytes
// per held-out token whatever the size of the training data. Not thread-safe.
class OverlapCounter {
 public:
  // Borrows `held_out`.
  explicit OverlapCounter(const TokenStream& held_out);
  void add(const TokenStream& training);

  std::uint64_t grams() const { return grams_; }  // of the held-out text, repeated ones each time
  std::uint64_t found() const;                    // those that were in the training data
  double share() const;                           // 0 without grams

 private:
  std::size_t place(std::uint64_t hash) const;

  const TokenStream& held_out_;
  std::vector<std::uint64_t> hashes_;  // ascending, each once
  std::vector<bool> seen_;
  std::uint64_t grams_ = 0;
};

double overlap_share(const TokenStream& training, const TokenStream& held_out);

}  // namespace organ::train
