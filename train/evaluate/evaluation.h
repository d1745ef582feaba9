// SPDX-License-Identifier: Apache-2.0
// The loss of a model on a data set under a protocol. P0, the token-weighted mean over real
// targets, one shift, documents masked, is the only one organ reports by default.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "train/data/dataset.h"
#include "train/evaluate/protocol.h"

namespace organ::train {
class Model;
}  // namespace organ::train

#pragma GCC visibility push(default)

namespace organ::train {

struct EvaluationOptions {
  Protocol protocol = Protocol::p0;
  std::int64_t context = 512;        // tokens a window
  std::int64_t stride = 512;         // P0: between the starts of windows, 1..context
  std::int64_t windows = 0;          // only the first so many; 0: all
  std::int64_t batch_tokens = 2048;  // tokens computed at once, at least one window
  std::int64_t batch_rows = 8;       // P6: documents a batch
  std::int32_t padding_id = 0;       // P1
  // In windows; may be empty.
  std::function<void(std::int64_t done, std::int64_t total)> progress = nullptr;
};

struct DocumentScore {
  double nll = 0;  // sum, nats
  std::int64_t targets = 0;
};

struct EvaluationResult {
  Protocol protocol = Protocol::p0;
  std::int64_t windows = 0;
  std::int64_t targets = 0;
  double nll_sum = 0;                    // nats
  std::vector<DocumentScore> documents;  // in the data set's order; unread ones have 0 targets
  DocumentScore padding;                 // P1: the part of the sum that is padding
  std::uint64_t words = 0;               // P0w
  std::int64_t batch_rows = 0;           // P6

  // The logarithm of perplexity(): nats per target, for P0w per word.
  double nll() const;
  double perplexity() const;
  // P0: the mean over targets, spread over the bytes of the whole text; P0w: the sum over the
  // bytes. nullopt without a text and for diagnostics.
  std::optional<double> bits_per_byte(const Dataset& data) const;
};

// Scores a data set with the whole model.
//
// P0: windows of the joined documents, of ids windows of each row. Each token but the first of a
// document and its lead-in is a target once, in the first window that holds it and a token before
// it; with stride == context the first token of every window is no target. P3, P4 and P5 read the
// same windows. P0w: each token of a document behind its lead-in, one id, is a target once, in
// windows of one document that share one token with the window before, the last one moved back to
// be full. P1, P2 and P6 read one window of each document, cut or padded to the context.
//
// Memory does not grow with the data but for 24 bytes a window and 16 a document. Throws
// invalid_argument for a stride or context that cannot be, for P0w over data without a text or
// lead-in, or when nothing is left to score; cancelled is the caller's.
EvaluationResult evaluate(Model& model, const Dataset& data, const EvaluationOptions& options);

}  // namespace organ::train

#pragma GCC visibility pop
