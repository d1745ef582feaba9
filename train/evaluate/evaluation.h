// SPDX-License-Identifier: Apache-2.0
// The loss of a model on a data set under a protocol. P0, the token-weighted mean over real
// targets, one shift, documents masked, is the only one organ reports by default.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "train/data/dataset.h"
#include "train/evaluate/protocol.h"

#pragma GCC visibility push(default)

namespace organ::train {

// For what lies outside of the bounds below evaluation throws invalid_argument (evaluation_rows),
// and for a batch_rows below 1.
struct EvaluationOptions {
  Protocol protocol = Protocol::p0;
  // 2 to 1,048,576; of spans the one that they were drawn for.
  std::int64_t context = 512;  // tokens a window
  // Equal to the context under every protocol but P0.
  std::int64_t stride = 512;  // P0: between the starts of windows, 1..context
  // Not for P0w, which counts the words of the whole text.
  std::int64_t windows = 0;          // only the first so many; 0: all
  std::int64_t batch_tokens = 2048;  // tokens computed at once, at least one window
  std::int64_t batch_rows = 8;       // P6: documents a batch
  std::int32_t padding_id = 0;       // P1
  // In windows, after each batch, on the thread that evaluates; may be empty. What it throws ends
  // the evaluation.
  std::function<void(std::int64_t done, std::int64_t total)> progress = nullptr;
};

// What one document adds. The NLL of each token is rounded to fp32 before it is summed here, and
// not for EvaluationResult::nll_sum: all documents together are that but for rounding.
struct DocumentScore {
  double nll = 0;  // sum, nats
  std::int64_t targets = 0;
};

struct EvaluationResult {
  Protocol protocol = Protocol::p0;
  std::int64_t windows = 0;
  bool is_part = false;  // there are more windows than options.windows
  std::int64_t targets = 0;
  double nll_sum = 0;                    // nats
  std::vector<DocumentScore> documents;  // in the data set's order; unread ones have 0 targets
  DocumentScore padding;                 // P1: the part of the sum that is padding
  std::uint64_t words = 0;               // P0w
  std::int64_t batch_rows = 0;           // P6

  // The logarithm of perplexity(): nats per target, for P0w per word. P2: of the mean of the
  // documents' perplexities. P6: the mean of the means of batch_rows consecutive documents. Else
  // nll_sum over targets. Documents without targets do not count.
  double nll() const;
  double perplexity() const;
  // P0: the mean over targets, spread over the bytes of the whole text; P0w: the sum over the
  // bytes. nullopt without a text and for diagnostics.
  std::optional<double> bits_per_byte(const Dataset& data) const;
};

// How the data of a figure was read, as its records hold it. With a result of a part of the
// windows, how many they were too.
format::EvaluationReading recorded_reading(const Dataset& data);
format::EvaluationReading recorded_reading(const Dataset& data, const EvaluationResult& result);

// What a protocol takes besides context and stride, as a label holds it: "batch=8" of P6, "fill=0"
// of P1, else "".
std::string protocol_settings(const EvaluationOptions& options);

}  // namespace organ::train

#pragma GCC visibility pop
