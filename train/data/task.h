// SPDX-License-Identifier: Apache-2.0
// What a model is trained and measured on. Its architecture decides.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "format/architecture/architecture.h"

#pragma GCC visibility push(default)

namespace organ::train {

// next_token: of a causal model. hidden_tokens: of one whose layers see the tokens that follow, so
// that predicting the next one means nothing (train/data/masking.h). spans: of an encoder-decoder
// (train/data/span_denoising.h).
enum class Task : std::uint8_t { next_token, hidden_tokens, spans };

Task task_of(const format::Architecture& architecture);

// What a training run hides or drops of a window: other tokens each time it comes to it, as
// transformers' collators and BERT's and T5's own training do, or the same ones.
enum class TaskDraw : std::uint8_t { each_epoch, once };
std::string_view to_string(TaskDraw draw);
std::optional<TaskDraw> parse_task_draw(std::string_view name);

// The seed of the draw of epoch `epoch`, counted from 0: in the first one it is `seed` itself, then
// seed xor the first number of a SplitMix64 whose state is the epoch.
std::uint64_t seed_of_epoch(std::uint64_t seed, std::uint64_t epoch);

}  // namespace organ::train

#pragma GCC visibility pop
