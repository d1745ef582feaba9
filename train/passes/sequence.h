// SPDX-License-Identifier: Apache-2.0
// What a loaded model makes of one sequence of token ids, for hosts that look into it. The ids are
// taken as they are: nothing is put before or behind them. Results are fp32 in the host's memory,
// row after row. Thread-safe, as the model is. No Torch.
//
// All of them throw invalid_argument for no ids, one outside of the vocabulary, and more than the
// model has positions; incompatible for an encoder-decoder, which reads two texts, and for an
// adapter in the model's own folder; device.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "train/model/loaded_model.h"

#pragma GCC visibility push(default)

namespace organ::train {

// The residual stream that enters layer `layer`, [ids, hidden_size()]: of layer 0 the embedding, of
// layer_count(), which is not there, what the norm in front of the head reads. Throws
// invalid_argument for a layer beyond that.
std::vector<float> stream_of(const LoadedModel& model, std::span<const std::int32_t> ids,
                             std::uint64_t layer);

// What the head makes of these places among the ids, [places, vocab_size()]: logits of the next id,
// of a masked model those of the id that stands there. Throws invalid_argument for a place behind
// the last id, incompatible for a checkpoint without a head.
std::vector<float> logits_of(const LoadedModel& model, std::span<const std::int32_t> ids,
                             std::span<const std::uint64_t> places);

// -ln p of each id but the first, in nats, given those before it: [ids - 1]. Their mean is what
// protocol P0 makes of a window of these ids. Throws incompatible for a masked model, which sees
// them all.
std::vector<float> losses_of(const LoadedModel& model, std::span<const std::int32_t> ids);

}  // namespace organ::train

#pragma GCC visibility pop
