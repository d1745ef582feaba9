// SPDX-License-Identifier: Apache-2.0
// Perplexity under protocol P0: the token-weighted mean over real targets, one shift, documents
// masked (reference/training.md 8). The only protocol organ reports by default.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "train/dataset.h"

namespace organ::train {

class Model;

struct EvaluationOptions {
  std::int64_t context = 512;        // tokens a window
  std::int64_t stride = 512;         // between the starts of windows, 1..context
  std::int64_t windows = 0;          // only the first so many; 0: all
  std::int64_t batch_tokens = 2048;  // tokens computed at once, at least one window
  // In windows; may be empty.
  std::function<void(std::int64_t done, std::int64_t total)> progress = nullptr;
};

struct DocumentScore {
  double nll = 0;  // sum, nats
  std::int64_t targets = 0;
};

struct EvaluationResult {
  std::int64_t windows = 0;
  std::int64_t targets = 0;
  double nll_sum = 0;                    // nats
  std::vector<DocumentScore> documents;  // in the data set's order; unread ones have 0 targets

  double nll() const { return nll_sum / static_cast<double>(targets); }
  double perplexity() const;
  // The mean over targets, spread over the bytes of the whole text; nullopt without a text.
  std::optional<double> bits_per_byte(const Dataset& data) const;
};

// Scores a data set with the whole model. Each token but the first of a document is a target once,
// in the first window that holds it and a token before it; with stride == context the first token
// of every window is no target. Memory does not grow with the data. Throws invalid_argument for a
// stride or context that cannot be, or when nothing is left to score; cancelled is the caller's.
EvaluationResult evaluate(Model& model, const Dataset& data, const EvaluationOptions& options);

}  // namespace organ::train
