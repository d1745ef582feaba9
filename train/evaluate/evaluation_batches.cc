// SPDX-License-Identifier: Apache-2.0
#include "train/evaluate/internal/evaluation_batches.h"

#include "train/passes/batches.h"

namespace organ::train {

Batch make_batch(const Dataset& data, const EvaluationOptions& options,
                 std::span<const EvaluationRow> rows) {
  Batch batch = filled_batch(
      rows.size(), data, row_length(data, options),
      [&](std::size_t row, const auto& arrays) { fill_row(data, options, rows[row], arrays); });
  if (options.protocol == Protocol::p5 || data.task() == Task::hidden_tokens) {
    batch.end_key = document_ends(batch);
  }
  return batch;
}

}  // namespace organ::train
