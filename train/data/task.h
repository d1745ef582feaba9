// SPDX-License-Identifier: Apache-2.0
// What a model is trained and measured on. Its architecture decides.
#pragma once

#include <cstdint>

#include "format/architecture/architecture.h"

#pragma GCC visibility push(default)

namespace organ::train {

// next_token: of a causal model. hidden_tokens: of one whose layers see the tokens that follow, so
// that predicting the next one means nothing (train/data/masking.h). spans: of an encoder-decoder
// (train/data/span_denoising.h).
enum class Task : std::uint8_t { next_token, hidden_tokens, spans };

Task task_of(const format::Architecture& architecture);

}  // namespace organ::train

#pragma GCC visibility pop
