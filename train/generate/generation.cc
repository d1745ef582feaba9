// SPDX-License-Identifier: Apache-2.0
#include "train/generate/generation.h"

#include <algorithm>
#include <chrono>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/checkpoint/checkpoint_config.h"
#include "format/checkpoint/folder_rules.h"
#include "train/data/span_draw.h"
#include "train/data/task.h"
#include "train/machine/start_machine.h"
#include "train/model/decode_cache.h"
#include "train/model/model.h"
#include "train/model/model_access.h"

namespace organ::train {
namespace {

void check_length(const format::Architecture& architecture, std::size_t prompt,
                  std::uint64_t max_tokens) {
  if (prompt == 0) fail(ErrorCode::invalid_argument, "the prompt holds no token");
  if (!continues_prompt(architecture)) {
    if (max_tokens > 0) return;
    fail(ErrorCode::invalid_argument, "--max-tokens: 0 is out of range, expected 1 or more");
  }
  const std::uint64_t positions = architecture.max_positions();
  if (prompt >= positions) {
    fail(ErrorCode::invalid_argument, "the prompt has {}, expected fewer than the {} of the model",
         counted(prompt, "token"), counted(positions, "position"));
  }
  if (max_tokens == 0 || max_tokens > positions - prompt) {
    fail(ErrorCode::invalid_argument,
         "--max-tokens: {} is out of range, expected 1 to {} ({} positions, {} of the prompt)",
         max_tokens, positions - prompt, positions, prompt);
  }
}

// Of a model that only fills in what is hidden there is no next token.
void check_writes(const format::Checkpoint& checkpoint) {
  const format::Architecture& architecture = checkpoint.architecture();
  if (task_of(architecture) == Task::hidden_tokens) {
    fail(ErrorCode::incompatible, "family {} reads a text as a whole and does not continue one",
         quote(architecture.model_type()));
  }
  format::require_no_own_adapter(checkpoint.folder());
}

// What the decoder of an encoder-decoder reads first, of the generation config where it says so.
std::int32_t start_id(const format::Checkpoint& checkpoint) {
  if (continues_prompt(checkpoint.architecture())) return 0;
  const auto generation = format::GenerationConfig::of(checkpoint);
  const bool says =
      !JsonObject(*generation.settings, generation.file).is_null("decoder_start_token_id");
  return decoder_start_id(says ? *generation.settings : format::CheckpointConfig::of(checkpoint),
                          checkpoint.architecture().vocab_size());
}

}  // namespace

bool continues_prompt(const format::Architecture& architecture) {
  return task_of(architecture) == Task::next_token;
}

struct Generator::Impl {
  Model model;
  MachineChoice machine;
  std::int32_t start = 0;  // of an encoder-decoder
  // Gives the cache the prompt; returns what is to be decoded first.
  std::vector<std::int64_t> begin(std::span<const std::int32_t> prompt, DecodeCache& cache);
  Generation run(std::span<const std::int32_t> prompt, const GenerationOptions& options,
                 const std::function<bool(std::int32_t)>& on_token);
};

Generator::Generator(const format::Checkpoint& checkpoint, Precision precision,
                     const MachineChoice& machine) {
  check_writes(checkpoint);
  const std::int32_t start = start_id(checkpoint);
  impl_ = on_machine(machine, 1, [&](at::Device device) {
    Model model = Model::load(checkpoint, {.precision = precision, .device = device});
    return std::make_unique<Impl>(Impl{std::move(model), machine, start});
  });
}

Generator::Generator(const LoadedModel& model) {
  check_writes(model.checkpoint());
  const std::int32_t start = start_id(model.checkpoint());
  impl_ = with_share(model, [&](Model share) {
    return std::make_unique<Impl>(Impl{std::move(share), model.machine(), start});
  });
}

Generator::~Generator() = default;

Generation Generator::run(std::span<const std::int32_t> prompt, const GenerationOptions& options,
                          const std::function<bool(std::int32_t)>& on_token) {
  const ThreadsInUse threads(impl_->machine);
  return compute_on(impl_->model.device(),
                    [&](at::Device /*device*/) { return impl_->run(prompt, options, on_token); });
}

std::vector<std::int64_t> Generator::Impl::begin(std::span<const std::int32_t> prompt,
                                                 DecodeCache& cache) {
  std::vector<std::int64_t> ids(prompt.begin(), prompt.end());
  if (continues_prompt(model.architecture())) return ids;
  model.read_source(ids, cache);
  return {start};
}

Generation Generator::Impl::run(std::span<const std::int32_t> prompt,
                                const GenerationOptions& options,
                                const std::function<bool(std::int32_t)>& on_token) {
  check_length(model.architecture(), prompt.size(), options.max_tokens);
  Sampler sampler(options.sampling);
  DecodeCache cache;
  Generation result;
  std::vector<std::int64_t> next = begin(prompt, cache);
  RepetitionPenalty penalty(options.repetition_penalty);
  auto first = std::chrono::steady_clock::now();
  while (result.ids.size() < options.max_tokens) {
    const at::Tensor x = model.decode(next, cache);
    const at::Tensor logits = model.logits(x, {x.size(0) - 1});
    const std::span<float> values(logits.mutable_data_ptr<float>(),
                                  static_cast<std::size_t>(logits.numel()));
    penalty.apply(next, values);
    const std::int32_t id = sampler.choose(values);
    if (result.ids.empty()) first = std::chrono::steady_clock::now();
    result.stopped = std::ranges::find(options.stop_ids, id) != options.stop_ids.end();
    if (result.stopped) break;
    result.ids.push_back(id);
    if (on_token && !on_token(id)) break;
    next = {id};
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - first;
  result.seconds = elapsed.count();
  return result;
}

}  // namespace organ::train
