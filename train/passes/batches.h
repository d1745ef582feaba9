// SPDX-License-Identifier: Apache-2.0
// Windows of a data set as model inputs.
#pragma once

#include <cstdint>
#include <span>

#include "train/data/dataset.h"
#include "train/evaluate/evaluation_rows.h"
#include "train/model/model.h"

namespace organ::train {

// The given windows as the rows of one batch. first_key is left undefined when every row is one
// document, which spares the attention its lower bound.
Batch make_batch(const Dataset& data, std::span<const std::int64_t> windows);

// The same for the windows of an evaluation, under its protocol.
Batch make_batch(const Dataset& data, const EvaluationOptions& options,
                 std::span<const EvaluationRow> rows);

// One row of these ids, without targets.
Batch one_sequence(std::span<const std::int64_t> ids);

}  // namespace organ::train
