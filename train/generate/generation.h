// SPDX-License-Identifier: Apache-2.0
// Text generation: one token after the other, each position computed once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "format/checkpoint/checkpoint.h"
#include "train/generate/sampler.h"
#include "train/machine/machine_choice.h"
#include "train/machine/precision.h"
#include "train/model/loaded_model.h"

#pragma GCC visibility push(default)

namespace organ::train {

struct GenerationOptions {
  SamplingOptions sampling = {};
  // At least 1, and with the prompt at most the model's positions; without bound of an
  // encoder-decoder.
  std::uint64_t max_tokens = 128;
  std::vector<std::int32_t> stop_ids = {};  // one of them ends the text and does not belong to it
  // Divides the logits of tokens that the decoder has seen, prompt included, where they are above
  // 0 and multiplies them elsewhere (arXiv 1909.05858, as in transformers); 1: nothing.
  double repetition_penalty = 1;
};

struct Generation {
  std::vector<std::int32_t> ids;  // without the prompt and without the stop id
  bool stopped = false;           // by a stop id; else by max_tokens or by on_token
  // Without the reading of the prompt and the choice of the first token; with the time of on_token
  // and of the choice of a stop id.
  double seconds = 0;  // from the first generated token to the last
};

// Whether the model's text goes on after the prompt; that of an encoder-decoder, which reads the
// prompt as a whole, stands for itself.
bool continues_prompt(const format::Architecture& architecture);

// Not thread-safe; several may run over one loaded model at a time. On one machine's CPU, with one
// number of threads, equal arguments give equal ids.
class Generator {
 public:
  // Loads the model for itself. Throws what LoadedModel::load throws, incompatible for a family
  // that does not generate text.
  Generator(const format::Checkpoint& checkpoint, Precision precision,
            const MachineChoice& machine);
  // Over the weights of a model that is there, which it keeps even when that is gone.
  explicit Generator(const LoadedModel& model);
  ~Generator();

  // Calls on_token, which may be empty, with each id as it comes; false ends the generation. Throws
  // invalid_argument for an empty prompt, an id outside of the vocabulary, options out of range and
  // when prompt and max_tokens are more than the model has positions. Relative positions have no
  // end. Each call reads the prompt anew and keeps nothing for the next. Throws corrupt when the
  // logits are not finite numbers, device, and what on_token throws.
  Generation run(std::span<const std::int32_t> prompt, const GenerationOptions& options,
                 const std::function<bool(std::int32_t)>& on_token);

 private:
  struct [[gnu::visibility("hidden")]] Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace organ::train

#pragma GCC visibility pop
