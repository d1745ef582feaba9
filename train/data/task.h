// SPDX-License-Identifier: Apache-2.0
// What a model is trained and measured on. Its architecture decides.
#pragma once

#include <cstdint>

#include "format/checkpoint/checkpoint.h"

namespace organ::train {

class Dataset;
class Tokenizer;

// next_token: of a causal model. hidden_tokens: of one whose layers see the tokens that follow, so
// that predicting the next one means nothing (train/data/masking.h). spans: of an encoder-decoder
// (train/data/span_denoising.h).
enum class Task : std::uint8_t { next_token, hidden_tokens, spans };

Task task_of(const format::Architecture& architecture);

// Makes the data ask for the model's task, by the draw that `seed` decides. Throws incompatible
// when the tokenizer lacks the tokens that the task needs. The tokenizer may be null for
// next_token.
void set_task(Dataset& data, const format::Checkpoint& checkpoint, const Tokenizer* tokenizer,
              std::uint64_t seed);

// Throws incompatible unless the data asks for the model's task: the loss of another means nothing.
void require_task(const format::Architecture& architecture, const Dataset& data);

}  // namespace organ::train
