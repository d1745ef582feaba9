// SPDX-License-Identifier: Apache-2.0
// Windows of an evaluation as model inputs.
#pragma once

#include <span>

#include "train/evaluate/evaluation_rows.h"
#include "train/positions/batch.h"

namespace organ::train {

// The given windows as the rows of one batch, under the protocol of the options. On the CPU, rows
// of row_length() places. P5 and masked models get end_key: each token sees its whole document.
Batch make_batch(const Dataset& data, const EvaluationOptions& options,
                 std::span<const EvaluationRow> rows);

}  // namespace organ::train
