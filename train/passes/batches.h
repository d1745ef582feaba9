// SPDX-License-Identifier: Apache-2.0
// Windows of a data set as model inputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "train/data/dataset.h"
#include "train/positions/batch.h"

namespace organ::train {

// The given windows as the rows of one batch. first_key is left undefined when every row is one
// document, which spares the attention its lower bound. `epochs`: of each window, whose draw it is;
// none: the first.
Batch make_batch(const Dataset& data, std::span<const std::int64_t> windows,
                 std::span<const std::uint64_t> epochs = {});

// Row `row` of a batch of make_batch, as the batch that its window alone would be. Borrows ids and
// targets.
Batch row_of(const Batch& batch, std::int64_t row);

// Writes the arrays of row `row` of a batch.
using FillRow = std::function<void(std::size_t row, const WindowArrays& arrays)>;

// A batch of `rows` rows of `length` places that `fill` writes. Of an encoder-decoder end_key keeps
// the padding of the source out of sight; else first_key says where each document starts.
Batch filled_batch(std::size_t rows, const Dataset& data, std::int64_t length, const FillRow& fill);

// One past the last position of each position's document in its row: int32 [tokens].
at::Tensor document_ends(const Batch& batch);

}  // namespace organ::train
