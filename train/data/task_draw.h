// SPDX-License-Identifier: Apache-2.0
// Data that asks for what its model was made for.
#pragma once

#include <cstdint>

#include "format/checkpoint/checkpoint.h"
#include "train/data/task.h"

#pragma GCC visibility push(default)

namespace organ::train {

class Dataset;
class Tokenizer;

// Makes the data ask for the model's task, by the draw that `seed` decides. Throws incompatible
// when the tokenizer lacks the tokens that the task needs. The tokenizer may be null for
// next_token, for which nothing is drawn; for the other tasks null throws internal. Keeps nothing
// of checkpoint and tokenizer.
void set_task(Dataset& data, const format::Checkpoint& checkpoint, const Tokenizer* tokenizer,
              std::uint64_t seed);

// Throws incompatible unless the data asks for the model's task: the loss of another means nothing.
void require_task(const format::Architecture& architecture, const Dataset& data);

}  // namespace organ::train

#pragma GCC visibility pop
