// SPDX-License-Identifier: Apache-2.0
#include "train/adapter/peft_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"

namespace organ::train {
namespace {

constexpr JsonLimits kLimits = {.bytes = kPeftConfigLimit, .foreign = true};

struct KindName {
  AdapterKind kind;
  std::string_view name, peft_type;
};

constexpr std::array kKinds = {
    KindName{AdapterKind::lora, "lora", "LORA"},
    KindName{AdapterKind::ia3, "ia3", "IA3"},
    KindName{AdapterKind::bottleneck, "bottleneck", "BOTTLENECK"},
    KindName{AdapterKind::prompt, "prompt", "PROMPT_TUNING"},
    KindName{AdapterKind::prefix, "prefix", "PREFIX_TUNING"},
};

// The keys that are read here, and those that do not change what a stored adapter computes:
// names, dropout (training only), how the numbers were initialised. Any other key must be null,
// false or empty.
constexpr std::string_view kCommonKeys[] = {"auto_mapping",   "base_model_name_or_path",
                                            "inference_mode", "peft_type",
                                            "peft_version",   "revision",
                                            "task_type"};
constexpr std::string_view kLoraKeys[] = {
    "alpha_pattern",       "bias",           "corda_config",      "eva_config",
    "exclude_modules",     "fan_in_fan_out", "init_lora_weights", "layers_pattern",
    "layers_to_transform", "loftq_config",   "lora_alpha",        "lora_dropout",
    "lora_ga_config",      "megatron_core",  "qalora_group_size", "r",
    "rank_pattern",        "runtime_config", "target_modules",    "target_parameters",
    "use_rslora"};
constexpr std::string_view kIa3Keys[] = {"exclude_modules", "fan_in_fan_out", "feedforward_modules",
                                         "init_ia3_weights", "target_modules"};
constexpr std::string_view kBottleneckKeys[] = {"bottleneck_size", "non_linearity", "placement",
                                                "layers_to_transform"};
// A projected prefix is stored as it comes out of the projection.
constexpr std::string_view kVirtualKeys[] = {
    "encoder_hidden_size", "init_weights",       "num_attention_heads",
    "num_layers",          "num_virtual_tokens", "num_transformer_submodules",
    "prefix_projection",   "prompt_tuning_init", "prompt_tuning_init_text",
    "token_dim",           "tokenizer_kwargs",   "tokenizer_name_or_path"};

// How A and B started does not matter once they are stored; other words (pissa, olora, loftq,
// corda, lora_ga) change the base weights when the adapter is loaded.
constexpr std::string_view kHarmlessStarts[] = {"gaussian", "orthogonal", "eva"};

// Which biases train. The file says whether there are any.
constexpr std::string_view kBiases[] = {"none", "all", "lora_only"};

// Which of PEFT's wrappers is put around the model: these change nothing that is computed.
constexpr std::string_view kTasks[] = {"CAUSAL_LM", "SEQ_2_SEQ_LM"};

std::span<const std::string_view> keys_of(AdapterKind kind) {
  switch (kind) {
    case AdapterKind::lora: return kLoraKeys;
    case AdapterKind::ia3: return kIa3Keys;
    case AdapterKind::bottleneck: return kBottleneckKeys;
    case AdapterKind::prompt:
    case AdapterKind::prefix: return kVirtualKeys;
  }
  throw Error(ErrorCode::internal, "an adapter kind without keys");
}

bool is_listed(std::span<const std::string_view> words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_neutral(const Json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  return value.is_null() || value == false || (value.is_structured() && value.empty());
}

[[noreturn]] void refuse(const std::string& subject, std::string_view key, const Json& value) {
  fail(ErrorCode::incompatible, "{}: {} is {}, which is not supported", subject, quote(key),
       quote(value.dump(-1, ' ', true, Json::error_handler_t::replace)));
}

void check_keys(const Json& json, AdapterKind kind, const std::string& subject) {
  for (const auto& [key, value] : json.items()) {
    if (is_listed(kCommonKeys, key) || is_listed(keys_of(kind), key)) continue;
    if (!is_neutral(value)) refuse(subject, key, value);
  }
}

AdapterKind kind_of(const JsonObject& object, const std::string& subject) {
  const std::string type = object.string("peft_type");
  for (const auto& known : kKinds) {
    if (known.peft_type == type) return known.kind;
  }
  throw Error(ErrorCode::incompatible,
              fmt::format("{}: adapters of type {} are not supported", subject, quote(type)),
              "LORA, IA3, PROMPT_TUNING and PREFIX_TUNING are");
}

std::uint64_t size_field(const JsonObject& object, std::string_view key) {
  const std::uint64_t value = object.unsigned_integer(key, kMaxAdapterSize);
  if (value == 0) object.fail_field(key, "expected 1 or more, got 0");
  return value;
}

ModuleFilter filter_field(const JsonObject& object, std::string_view key, bool dotted = true) {
  return ModuleFilter::parse(object.is_null(key) ? Json() : object.at(key), dotted,
                             fmt::format("{}.{}", object.path(), key));
}

std::optional<std::vector<std::uint64_t>> layers_field(const JsonObject& object) {
  constexpr std::string_view kKey = "layers_to_transform";
  if (object.is_null(kKey)) return std::nullopt;
  if (object.at(kKey).is_array()) {
    auto layers = object.unsigned_integers(kKey);
    if (layers.empty()) return std::nullopt;
    return layers;
  }
  return std::vector<std::uint64_t>{object.unsigned_integer(kKey)};
}

std::vector<NumberPattern> layer_patterns_field(const JsonObject& object) {
  constexpr std::string_view kKey = "layers_pattern";
  std::vector<NumberPattern> patterns;
  if (object.is_null(kKey)) return patterns;
  const bool alone = object.at(kKey).is_string();
  for (const auto& pattern : alone ? std::vector{object.string(kKey)} : object.strings(kKey)) {
    if (pattern.empty()) continue;  // any list of layers
    patterns.push_back(NumberPattern::parse(pattern, fmt::format("{}.{}", object.path(), kKey)));
  }
  return patterns;
}

// Of an object inside the document's own: its keys in the order in which they stand there.
class KeyOrder final : public JsonEvents {
 public:
  explicit KeyOrder(std::string_view outer) : outer_(outer) {}
  void null() override {}
  void boolean(bool) override {}
  void integer(std::int64_t) override {}
  void unsigned_integer(std::uint64_t) override {}
  void real(double) override {}
  void string(std::string&&) override {}
  void key(std::string&& value) override {
    if (depth_ == 1)
      inside_ = value == outer_;
    else if (depth_ == 2 && inside_)
      keys_.push_back(std::move(value));
  }
  void start_object() override { ++depth_; }
  void end_object() override { --depth_; }
  void start_array() override { ++depth_; }
  void end_array() override { --depth_; }

  const std::vector<std::string>& keys() const { return keys_; }

 private:
  std::string_view outer_;
  int depth_ = 0;
  bool inside_ = false;
  std::vector<std::string> keys_;
};

// A parsed document has lost the order, which matters where there are several.
std::vector<std::string> keys_in_order(const JsonObject& object, std::string_view key,
                                       std::string_view text) {
  const Json& entries = object.object(key).value();
  if (entries.empty()) return {};
  if (entries.size() == 1) return {entries.begin().key()};
  KeyOrder order(key);
  parse_json_events(text, kLimits, object.path(), order);
  return order.keys();
}

template <typename Value, typename Read>
std::vector<std::pair<NamePattern, Value>> pattern_field(const JsonObject& object,
                                                         std::string_view key,
                                                         std::string_view text, Read read) {
  std::vector<std::pair<NamePattern, Value>> patterns;
  if (object.is_null(key)) return patterns;
  const JsonObject entries = object.object(key);
  for (const std::string& pattern : keys_in_order(object, key, text)) {
    patterns.emplace_back(NamePattern::suffix(pattern, fmt::format("{}.{}", object.path(), key)),
                          read(entries, pattern));
  }
  return patterns;
}

void read_lora(PeftConfig& config, const JsonObject& object, std::string_view text,
               const std::string& subject) {
  constexpr std::uint64_t kDefaultRank = 8;  // of PEFT's LoraConfig
  constexpr double kDefaultAlpha = 8;
  config.rank = object.has("r") ? size_field(object, "r") : kDefaultRank;
  config.alpha = object.has("lora_alpha") ? object.real("lora_alpha") : kDefaultAlpha;
  config.rank_stabilised = object.optional_boolean("use_rslora").value_or(false);
  config.targets = filter_field(object, "target_modules");
  config.default_targets = object.is_null("target_modules");
  config.excluded = filter_field(object, "exclude_modules");
  config.layers = layers_field(object);
  config.layer_patterns = layer_patterns_field(object);
  config.rank_pattern = pattern_field<std::uint64_t>(
      object, "rank_pattern", text,
      [](const JsonObject& entries, const std::string& key) { return size_field(entries, key); });
  config.alpha_pattern = pattern_field<double>(
      object, "alpha_pattern", text,
      [](const JsonObject& entries, const std::string& key) { return entries.real(key); });
  if (!object.is_null("target_parameters")) config.parameters = object.strings("target_parameters");
  const std::string bias = object.optional_string("bias").value_or("none");
  if (!is_listed(kBiases, bias)) refuse(subject, "bias", object.at("bias"));
  config.biases = bias != "none";
  if (object.is_null("init_lora_weights")) return;
  const Json& start = object.at("init_lora_weights");
  if (start.is_boolean()) return;
  if (!start.is_string() || !is_listed(kHarmlessStarts, start.get<std::string>())) {
    refuse(subject, "init_lora_weights", start);
  }
}

void read_bottleneck(PeftConfig& config, const JsonObject& object, const std::string& subject) {
  config.bottleneck_size = size_field(object, "bottleneck_size");
  config.layers = layers_field(object);
  const std::string placement = object.string("placement");
  if (placement != "houlsby" && placement != "pfeiffer") {
    refuse(subject, "placement", object.at("placement"));
  }
  config.placement =
      placement == "houlsby" ? BottleneckPlacement::houlsby : BottleneckPlacement::pfeiffer;
  if (object.string("non_linearity") != "relu") {
    refuse(subject, "non_linearity", object.at("non_linearity"));
  }
}

void read_virtual_tokens(PeftConfig& config, const JsonObject& object, const std::string& subject) {
  config.virtual_tokens = size_field(object, "num_virtual_tokens");
  const auto size = [&](std::string_view key) -> std::optional<std::uint64_t> {
    if (object.is_null(key)) return std::nullopt;
    return object.unsigned_integer(key);
  };
  config.token_dim = size("token_dim");
  config.attention_heads = size("num_attention_heads");
  config.layer_count = size("num_layers");
  if (size("num_transformer_submodules").value_or(1) != 1) {
    refuse(subject, "num_transformer_submodules", object.at("num_transformer_submodules"));
  }
  config.start_at_zero = object.optional_string("init_weights").value_or("") == "zero";
}

// The value of the first pattern that matches, else `fallback`.
template <typename Value>
Value by_pattern(const std::vector<std::pair<NamePattern, Value>>& patterns,
                 std::string_view module, Value fallback) {
  for (const auto& [pattern, value] : patterns) {
    if (pattern.matches(module)) return value;
  }
  return fallback;
}

}  // namespace

std::string_view to_string(AdapterKind kind) {
  const auto known =
      std::find_if(kKinds.begin(), kKinds.end(), [&](const KindName& k) { return k.kind == kind; });
  return known->name;
}

std::optional<AdapterKind> parse_adapter_kind(std::string_view name) {
  const auto known =
      std::find_if(kKinds.begin(), kKinds.end(), [&](const KindName& k) { return k.name == name; });
  if (known == kKinds.end()) return std::nullopt;
  return known->kind;
}

std::optional<VirtualStart> parse_virtual_start(std::string_view name) {
  if (name == "random") return VirtualStart::random;
  if (name == "vocabulary") return VirtualStart::vocabulary;
  if (name == "text") return VirtualStart::text;
  if (name == "zero") return VirtualStart::zero;
  return std::nullopt;
}

std::uint64_t PeftConfig::rank_of(std::string_view module) const {
  return by_pattern(rank_pattern, module, rank);
}

double PeftConfig::scale_of(std::string_view module) const {
  const auto r = static_cast<double>(rank_of(module));
  return by_pattern(alpha_pattern, module, alpha) / (rank_stabilised ? std::sqrt(r) : r);
}

bool PeftConfig::wants_layer(std::uint64_t layer, std::string_view module) const {
  if (!layers || targets.lists(module)) return true;
  const auto is_listed = [&](std::uint64_t number) {
    return std::find(layers->begin(), layers->end(), number) != layers->end();
  };
  if (layer_patterns.empty()) return is_listed(layer);
  for (const NumberPattern& pattern : layer_patterns) {
    if (const auto number = pattern.number_in(module)) return is_listed(*number);
  }
  return false;
}

PeftConfig parse_peft_config(std::string_view text, const std::string& subject) {
  const Json json = parse_json(text, kLimits, subject);
  PeftConfig config;
  const JsonObject object(json, subject);
  config.text = pretty_json(json);
  config.kind = kind_of(object, subject);
  check_keys(json, config.kind, subject);
  if (!is_listed(kTasks, object.optional_string("task_type").value_or("CAUSAL_LM"))) {
    refuse(subject, "task_type", object.at("task_type"));
  }
  switch (config.kind) {
    case AdapterKind::lora: read_lora(config, object, text, subject); break;
    case AdapterKind::ia3:
      config.targets = filter_field(object, "target_modules");
      config.default_targets = object.is_null("target_modules");
      config.excluded = filter_field(object, "exclude_modules");
      config.feed_forward = filter_field(object, "feedforward_modules", false);
      config.default_feed_forward = object.is_null("feedforward_modules");
      break;
    case AdapterKind::bottleneck: read_bottleneck(config, object, subject); break;
    case AdapterKind::prompt:
    case AdapterKind::prefix: read_virtual_tokens(config, object, subject); break;
  }
  return config;
}

std::string peft_layer_name(const format::Architecture& architecture, std::uint64_t layer) {
  const auto& layout = architecture.layout();
  return fmt::format("{}{}{}", layout.optional_prefix, layout.layer_prefix, layer);
}

}  // namespace organ::train
