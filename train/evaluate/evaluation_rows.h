// SPDX-License-Identifier: Apache-2.0
// Which tokens an evaluation reads, window by window, and which of them are targets. No Torch.
#pragma once

#include <cstdint>
#include <vector>

#include "train/data/dataset.h"
#include "train/evaluate/evaluation.h"

namespace organ::train {

// One window: `tokens` of the stream from `start`, the rest of the context padding.
struct EvaluationRow {
  std::int64_t start = 0;
  std::int64_t tokens = 0;
  std::int64_t first_scored = 0;  // positions before it are context only
};

// All windows, whatever options.windows. Throws invalid_argument for options that cannot be. In the
// order of the stream.
std::vector<EvaluationRow> evaluation_rows(const Dataset& data, const EvaluationOptions& options);

// Leaves the first `windows`, 0: all; whether some were taken away.
bool keep_first(std::vector<EvaluationRow>& rows, std::int64_t windows);

// Places of a row: the context, or as many as its source and target take.
std::int64_t row_length(const Dataset& data, const EvaluationOptions& options);

// Ids, targets and visible documents of a row under the protocol. Arrays of row_length() numbers.
// Every number is written. Padding has id 0 and is no target, but for P1; it sees itself alone, but
// for P1 and in the decoder's part of a row of spans.
void fill_row(const Dataset& data, const EvaluationOptions& options, const EvaluationRow& row,
              const WindowArrays& out);

// Of each place of a row: the token of the stream that its target counts for. Of places without a
// target some token of the row.
std::vector<std::int64_t> target_tokens(const Dataset& data, const EvaluationOptions& options,
                                        const EvaluationRow& row);

}  // namespace organ::train
