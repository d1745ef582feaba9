// SPDX-License-Identifier: Apache-2.0
#include "train/adapter/prompt_start.h"

#include <algorithm>

#include "format/base/fail.h"
#include "format/base/random.h"
#include "format/tensor/stored_values.h"

namespace organ::train {

void start_from_ids(Adapter& prompt, const format::Checkpoint& checkpoint,
                    std::span<const std::int32_t> ids) {
  if (ids.empty()) fail(ErrorCode::invalid_argument, "--init-text: holds no token");
  const auto table =
      checkpoint.locate(checkpoint.full_name(checkpoint.architecture().layout().embedding));
  const auto bytes = checkpoint.read(table);
  const auto width = static_cast<std::size_t>(checkpoint.architecture().hidden_size());
  const std::size_t row = width * format::bit_width(table.tensor->dtype) / 8;
  const std::uint64_t vocabulary = checkpoint.architecture().vocab_size();
  check(bytes.size() == row * vocabulary, "the embedding has another shape than the model's");
  prompt.values.assign(static_cast<std::size_t>(prompt.elements()), 0.0f);
  for (std::size_t i = 0; i < prompt.values.size() / width; ++i) {
    const std::int32_t id = ids[i % ids.size()];
    if (id < 0 || static_cast<std::uint64_t>(id) >= vocabulary) {
      fail(ErrorCode::invalid_argument, "--init-text: token id {} but the vocabulary has {}", id,
           vocabulary);
    }
    const auto values = format::floats_of(
        *table.tensor, std::span(bytes).subspan(static_cast<std::size_t>(id) * row, row));
    std::copy(values.begin(), values.end(),
              prompt.values.begin() + static_cast<std::ptrdiff_t>(i * width));
  }
}

void start_from_vocabulary(Adapter& prompt, const format::Checkpoint& checkpoint,
                           std::uint64_t seed) {
  SplitMix64 random(seed);
  const std::uint64_t vocabulary = checkpoint.architecture().vocab_size();
  std::vector<std::int32_t> ids(static_cast<std::size_t>(prompt.config.virtual_tokens));
  for (std::int32_t& id : ids) id = static_cast<std::int32_t>(random.below(vocabulary));
  start_from_ids(prompt, checkpoint, ids);
}

}  // namespace organ::train
