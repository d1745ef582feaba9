// SPDX-License-Identifier: Apache-2.0
#include "train/generate/generation.h"

#include <algorithm>
#include <chrono>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/base/path_status.h"
#include "format/checkpoint/checkpoint_config.h"
#include "format/checkpoint/folder_rules.h"
#include "train/data/span_draw.h"
#include "train/data/task.h"
#include "train/machine/start_machine.h"
#include "train/model/decode_cache.h"
#include "train/model/model.h"

namespace organ::train {
namespace {

constexpr std::uint64_t kMaxConfigBytes = std::uint64_t{1} << 20;
constexpr std::string_view kGenerationConfig = "generation_config.json";

std::int32_t read_id(const JsonObject& config, const Json& value) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > INT32_MAX) {
    config.fail_field("eos_token_id", "expected an id or a list of ids");
  }
  return value.get<std::int32_t>();
}

std::vector<std::int32_t> read_stop_ids(const JsonObject& config) {
  std::vector<std::int32_t> ids;
  if (config.is_null("eos_token_id")) return ids;
  const Json& value = config.at("eos_token_id");
  if (!value.is_array()) return {read_id(config, value)};
  for (const Json& id : value) ids.push_back(read_id(config, id));
  return ids;
}

void check_length(const format::Architecture& architecture, std::size_t prompt,
                  std::uint64_t max_tokens) {
  if (prompt == 0) fail(ErrorCode::invalid_argument, "the prompt holds no token");
  if (!continues_prompt(architecture)) {
    if (max_tokens > 0) return;
    fail(ErrorCode::invalid_argument, "--max-tokens: 0 is out of range, expected 1 or more");
  }
  const std::uint64_t positions = architecture.max_positions();
  if (max_tokens == 0 || prompt > positions || max_tokens > positions - prompt) {
    fail(ErrorCode::invalid_argument,
         "--max-tokens: {} is out of range, expected 1 to {} ({} positions, {} of the prompt)",
         max_tokens, positions > prompt ? positions - prompt : 0, positions, prompt);
  }
}

// Of a model that only fills in what is hidden there is no next token.
void check_writes(const format::Architecture& architecture) {
  if (task_of(architecture) != Task::hidden_tokens) return;
  fail(ErrorCode::incompatible, "family {} reads a text as a whole and does not continue one",
       quote(architecture.model_type()));
}

}  // namespace

bool continues_prompt(const format::Architecture& architecture) {
  return task_of(architecture) == Task::next_token;
}

std::vector<std::int32_t> stop_ids(const format::Checkpoint& checkpoint) {
  const auto file = checkpoint.folder() / kGenerationConfig;
  if (is_there(file)) {
    JsonLimits limits;
    limits.bytes = kMaxConfigBytes;
    limits.foreign = true;
    const Json json =
        parse_json(format::read_model_file(checkpoint.folder(), kGenerationConfig, kMaxConfigBytes),
                   limits, kGenerationConfig);
    return read_stop_ids(JsonObject(json, std::string(kGenerationConfig)));
  }
  return read_stop_ids(
      JsonObject(format::CheckpointConfig::of(checkpoint), std::string(format::kConfigFile)));
}

struct Generator::Impl {
  Model model;
  std::int32_t start = 0;  // of an encoder-decoder
  // Gives the cache the prompt; returns what is to be decoded first.
  std::vector<std::int64_t> begin(std::span<const std::int32_t> prompt, DecodeCache& cache);
  Generation run(std::span<const std::int32_t> prompt, const GenerationOptions& options,
                 const std::function<bool(std::int32_t)>& on_token);
};

Generator::Generator(const format::Checkpoint& checkpoint, Precision precision,
                     const MachineChoice& machine) {
  const format::Architecture& architecture = checkpoint.architecture();
  check_writes(architecture);
  format::require_no_own_adapter(checkpoint.folder());
  const std::int32_t start =
      continues_prompt(architecture)
          ? 0
          : decoder_start_id(format::CheckpointConfig::of(checkpoint), architecture.vocab_size());
  impl_ = on_machine(machine, 1, [&](at::Device device) {
    Model model = Model::load(checkpoint, {.precision = precision, .device = device});
    return std::make_unique<Impl>(Impl{std::move(model), start});
  });
}

Generator::~Generator() = default;

Generation Generator::run(std::span<const std::int32_t> prompt, const GenerationOptions& options,
                          const std::function<bool(std::int32_t)>& on_token) {
  const c10::NoGradGuard no_grad;
  Generation result;
  with_device_errors(impl_->model.device(),
                     [&] { result = impl_->run(prompt, options, on_token); });
  return result;
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
  auto first = std::chrono::steady_clock::now();
  while (result.ids.size() < options.max_tokens) {
    const at::Tensor x = model.decode(next, cache);
    const at::Tensor logits = model.logits(x, {x.size(0) - 1});
    const std::int32_t id =
        sampler.choose({logits.const_data_ptr<float>(), static_cast<std::size_t>(logits.numel())});
    if (result.ids.empty()) first = std::chrono::steady_clock::now();
    result.stopped = std::ranges::find(options.stop_ids, id) != options.stop_ids.end();
    if (result.stopped) break;
    result.ids.push_back(id);
    if (!on_token(id)) break;
    next = {id};
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - first;
  result.seconds = elapsed.count();
  return result;
}

}  // namespace organ::train
