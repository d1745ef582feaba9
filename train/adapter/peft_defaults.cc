// SPDX-License-Identifier: Apache-2.0
// The configuration of a new adapter.
#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "train/adapter/peft_config.h"

namespace organ::train {
namespace {

// What PEFT 0.21 targets when nothing is said (utils/constants.py).
struct DefaultTargets {
  std::string_view model_type, lora, ia3, ia3_feed_forward;  // names joined by commas
};

constexpr std::array kDefaults = {
    DefaultTargets{"bert", "query,value", "key,value,output.dense", "output.dense"},
    DefaultTargets{"gpt2", "c_attn", "c_attn,mlp.c_proj", "mlp.c_proj"},
    DefaultTargets{"llama", "q_proj,v_proj", "k_proj,v_proj,down_proj", "down_proj"},
    DefaultTargets{"mistral", "q_proj,v_proj", "k_proj,v_proj,down_proj", "down_proj"},
    DefaultTargets{"qwen2", "q_proj,v_proj", "q_proj,v_proj,down_proj", "down_proj"},
    DefaultTargets{"qwen3", "q_proj,v_proj", "q_proj,v_proj,down_proj", "down_proj"},
    DefaultTargets{"t5", "q,v", "k,v,wo", "wo"},
};

// What an MLP's last projection is called: IA3 scales its input instead of its output.
constexpr std::string_view kFeedForwardNames[] = {"down_proj", "mlp.c_proj", "wo", "output.dense"};

std::vector<std::string> split(std::string_view names) {
  std::vector<std::string> out;
  while (!names.empty()) {
    const std::size_t comma = std::min(names.find(','), names.size());
    out.emplace_back(names.substr(0, comma));
    names.remove_prefix(std::min(names.size(), comma + 1));
  }
  return out;
}

const DefaultTargets* find_defaults(const format::Architecture& architecture) {
  const auto found = std::find_if(kDefaults.begin(), kDefaults.end(), [&](const auto& d) {
    return d.model_type == architecture.model_type();
  });
  return found == kDefaults.end() ? nullptr : &*found;
}

const DefaultTargets& defaults_of(const format::Architecture& architecture, AdapterKind kind) {
  if (const DefaultTargets* found = find_defaults(architecture)) return *found;
  throw Error(ErrorCode::incompatible,
              fmt::format("model type {}: there are no default targets of {} for it",
                          quote(architecture.model_type()), to_string(kind)),
              "--targets NAME... says which projections to adapt");
}

void check_size(std::string_view option, std::uint64_t value) {
  if (value >= 1 && value <= kMaxAdapterSize) return;
  fail(ErrorCode::invalid_argument, "{}: {} is out of range, expected 1 to {}", option, value,
       kMaxAdapterSize);
}

bool whole_model(const AdapterOptions& options, const format::Architecture& architecture) {
  return options.layers.count == architecture.layer_count();
}

Json layer_list(const AdapterOptions& options) {
  Json layers = Json::array();
  for (std::uint64_t i = 0; i < options.layers.count; ++i)
    layers.push_back(options.layers.first + i);
  return layers;
}

// PEFT heeds layers_to_transform for modules only: parameters of some layers are named in full.
Json parameters_in(const AdapterOptions& options, const format::Architecture& architecture) {
  if (options.parameters.empty()) return {};
  if (whole_model(options, architecture)) return options.parameters;
  Json full = Json::array();
  for (std::uint64_t i = 0; i < options.layers.count; ++i) {
    for (const std::string& name : options.parameters) {
      full.push_back(
          fmt::format("{}.{}", peft_layer_name(architecture, options.layers.first + i), name));
    }
  }
  return full;
}

Json lora_config(const AdapterOptions& options, const format::Architecture& architecture) {
  check_size("--rank", options.rank);
  if (!(std::isfinite(options.alpha) && options.alpha > 0)) {
    fail(ErrorCode::invalid_argument, "--alpha: {} is out of range, expected more than 0",
         options.alpha);
  }
  const bool all_linear = options.targets == std::vector<std::string>{"all-linear"};
  if (all_linear && !whole_model(options, architecture)) {
    fail(ErrorCode::invalid_argument,
         "--targets all-linear: PEFT knows it for all layers only, not for some");
  }
  const bool by_default = options.targets.empty() && options.parameters.empty();
  const auto targets =
      by_default ? split(defaults_of(architecture, options.kind).lora) : options.targets;
  const bool integral = options.alpha == std::floor(options.alpha) && options.alpha < 1e9;
  return {
      {"peft_type", "LORA"},
      {"r", options.rank},
      {"lora_alpha",
       integral ? Json(static_cast<std::uint64_t>(options.alpha)) : Json(options.alpha)},
      {"target_modules", all_linear ? Json("all-linear") : Json(targets)},
      {"target_parameters", parameters_in(options, architecture)},
      {"layers_to_transform", whole_model(options, architecture) ? Json() : layer_list(options)},
      {"fan_in_fan_out", architecture.model_type() == "gpt2"},
      {"bias", "none"},
      {"lora_dropout", 0.0},
      {"init_lora_weights", true},
      {"use_rslora", options.rank_stabilised},
      {"use_dora", false},
      {"rank_pattern", Json::object()},
      {"alpha_pattern", Json::object()}};
}

// IA3 has no layers_to_transform: some layers are named in full.
Json named_in(const std::vector<std::string>& names, const AdapterOptions& options,
              const format::Architecture& architecture) {
  if (whole_model(options, architecture)) return names;
  Json full = Json::array();
  for (std::uint64_t i = 0; i < options.layers.count; ++i) {
    const std::string layer = peft_layer_name(architecture, options.layers.first + i);
    for (const auto& tensor : architecture.tensors()) {
      if (!tensor.name.ends_with(".weight") || tensor.shape.size() != 2) continue;
      const std::string module =
          fmt::format(".{}", std::string_view(tensor.name).substr(0, tensor.name.size() - 7));
      const bool named = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
        return module.ends_with(fmt::format(".{}", name));
      });
      if (named) full.push_back(layer + module);
    }
  }
  return full;
}

Json ia3_config(const AdapterOptions& options, const format::Architecture& architecture) {
  std::vector<std::string> targets = options.targets, feed_forward;
  if (targets.empty()) {
    const DefaultTargets& known = defaults_of(architecture, options.kind);
    targets = split(known.ia3);
    feed_forward = split(known.ia3_feed_forward);
  } else {
    std::copy_if(targets.begin(), targets.end(), std::back_inserter(feed_forward),
                 [](const std::string& target) {
                   return std::any_of(
                       std::begin(kFeedForwardNames), std::end(kFeedForwardNames),
                       [&](std::string_view name) { return target.ends_with(name); });
                 });
  }
  return {{"peft_type", "IA3"},
          {"target_modules", named_in(targets, options, architecture)},
          {"feedforward_modules", named_in(feed_forward, options, architecture)},
          {"fan_in_fan_out", architecture.model_type() == "gpt2"},
          {"init_ia3_weights", true}};
}

Json bottleneck_config(const AdapterOptions& options, const format::Architecture& architecture) {
  check_size("--bottleneck", options.bottleneck_size);
  return {
      {"peft_type", "BOTTLENECK"},
      {"bottleneck_size", options.bottleneck_size},
      {"placement", options.placement == BottleneckPlacement::houlsby ? "houlsby" : "pfeiffer"},
      {"non_linearity", "relu"},
      {"layers_to_transform", whole_model(options, architecture) ? Json() : layer_list(options)}};
}

Json virtual_tokens_config(const AdapterOptions& options,
                           const format::Architecture& architecture) {
  check_size("--virtual-tokens", options.virtual_tokens);
  if (!whole_model(options, architecture)) {
    fail(ErrorCode::invalid_argument, "--layers: a {} is a matter of all layers",
         to_string(options.kind));
  }
  const format::LayerSpec& spec = architecture.spec();
  const bool prompt = options.kind == AdapterKind::prompt;
  return {{"num_virtual_tokens", options.virtual_tokens},
          {"token_dim", prompt ? spec.hidden_size : spec.kv_heads * spec.head_dim},
          {"num_transformer_submodules", 1},
          {"num_attention_heads", prompt ? spec.heads : spec.kv_heads},
          {"num_layers", architecture.layer_count()}};
}

[[noreturn]] void refuse_start(const AdapterOptions& options, std::string_view expected) {
  fail(ErrorCode::invalid_argument, "--init: a {} starts {}", to_string(options.kind), expected);
}

Json prompt_config(const AdapterOptions& options, const format::Architecture& architecture) {
  Json config = virtual_tokens_config(options, architecture);
  config["peft_type"] = "PROMPT_TUNING";
  switch (options.start.value_or(VirtualStart::vocabulary)) {
    case VirtualStart::random: config["prompt_tuning_init"] = "RANDOM"; break;
    case VirtualStart::vocabulary: config["prompt_tuning_init"] = "SAMPLE_VOCAB"; break;
    case VirtualStart::text:
      config["prompt_tuning_init"] = "TEXT";
      config["prompt_tuning_init_text"] = options.start_text;
      config["tokenizer_name_or_path"] = options.base_model;
      break;
    case VirtualStart::zero: refuse_start(options, "from random, vocabulary or text");
  }
  return config;
}

Json prefix_config(const AdapterOptions& options, const format::Architecture& architecture) {
  Json config = virtual_tokens_config(options, architecture);
  const VirtualStart start = options.start.value_or(VirtualStart::random);
  if (start != VirtualStart::random && start != VirtualStart::zero) {
    refuse_start(options, "from random or zero");
  }
  config["peft_type"] = "PREFIX_TUNING";
  config["encoder_hidden_size"] = config["token_dim"];
  config["prefix_projection"] = false;
  config["init_weights"] = start == VirtualStart::zero ? Json("zero") : Json();
  return config;
}

Json kind_config(const AdapterOptions& options, const format::Architecture& architecture) {
  switch (options.kind) {
    case AdapterKind::lora: return lora_config(options, architecture);
    case AdapterKind::ia3: return ia3_config(options, architecture);
    case AdapterKind::bottleneck: return bottleneck_config(options, architecture);
    case AdapterKind::prompt: return prompt_config(options, architecture);
    case AdapterKind::prefix: return prefix_config(options, architecture);
  }
  throw Error(ErrorCode::internal, "an adapter kind without a configuration");
}

}  // namespace

void take_default_targets(PeftConfig& config, const format::Architecture& architecture) {
  if (!config.default_targets && !config.default_feed_forward) return;
  const DefaultTargets* known = find_defaults(architecture);
  if (known == nullptr) {
    if (!config.parameters.empty()) return;
    fail(ErrorCode::incompatible,
         "adapter_config.json: names no targets, and PEFT has no defaults for model type {}",
         quote(architecture.model_type()));
  }
  const bool lora = config.kind == AdapterKind::lora;
  if (config.default_targets) {
    config.targets = ModuleFilter::of_names(split(lora ? known->lora : known->ia3), true);
  }
  if (config.default_feed_forward) {
    config.feed_forward = ModuleFilter::of_names(split(known->ia3_feed_forward), false);
  }
}

PeftConfig make_peft_config(const AdapterOptions& options,
                            const format::Architecture& architecture) {
  Json config = kind_config(options, architecture);
  // PEFT has no word for masked language models.
  const bool causal = architecture.attention_type(0) != "bidirectional";
  config["task_type"] = causal ? Json("CAUSAL_LM") : Json();
  config["base_model_name_or_path"] = options.base_model;
  config["revision"] = nullptr;
  config["inference_mode"] = true;
  config["modules_to_save"] = nullptr;
  return parse_peft_config(pretty_json(config), "adapter_config.json");
}

}  // namespace organ::train
