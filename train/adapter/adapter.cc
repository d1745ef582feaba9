// SPDX-License-Identifier: Apache-2.0
#include "train/adapter/adapter.h"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "format/base/fail.h"
#include "format/base/random.h"
#include "train/data/task.h"

namespace organ::train {
namespace {

constexpr std::string_view kWeight = ".weight";

// The projections bottleneck adapters stand behind.
constexpr std::string_view kAttentionOutputs[] = {"self_attn.o_proj", "attn.c_proj"};
constexpr std::string_view kMlpOutputs[] = {"mlp.down_proj", "mlp.c_proj"};

// Of experts' matrices, in the order in which PEFT wraps them: the first is the innermost.
constexpr std::string_view kExpertParameters[] = {"mlp.experts.gate_up_proj",
                                                  "mlp.experts.down_proj"};

bool contains(const auto& values, const auto& value) {
  return std::find(std::begin(values), std::end(values), value) != std::end(values);
}

std::string_view suffix(AdapterRole role) {
  switch (role) {
    case AdapterRole::lora_a: return ".lora_A.weight";
    case AdapterRole::lora_b: return ".lora_B.weight";
    case AdapterRole::ia3: return ".ia3_l";
    case AdapterRole::down: return ".adapter_down.weight";
    case AdapterRole::down_bias: return ".adapter_down.bias";
    case AdapterRole::up: return ".adapter_up.weight";
    case AdapterRole::up_bias: return ".adapter_up.bias";
    case AdapterRole::virtual_tokens: return "prompt_embeddings";
  }
  throw Error(ErrorCode::internal, "an adapter role without a name");
}

// A module of a layer that owns a tensor called NAME.weight.
struct Module {
  std::string name;
  const format::Shape* shape;

  // PEFT adapts nn.Linear and Conv1D; a router and a table of positions are neither.
  bool is_projection() const {
    return shape->size() == 2 && !name.ends_with("router") && !name.ends_with("attention_bias");
  }
};

std::vector<Module> modules_of(const format::Architecture& architecture) {
  std::vector<Module> modules;
  for (const auto& tensor : architecture.tensors()) {
    if (!tensor.name.ends_with(kWeight)) continue;
    modules.push_back({tensor.name.substr(0, tensor.name.size() - kWeight.size()), &tensor.shape});
  }
  return modules;
}

AdaptedProjection make_projection(std::uint64_t layer, const Module& module,
                                  const format::Architecture& architecture) {
  AdaptedProjection projection;
  projection.layer = layer;
  projection.name = module.name;
  projection.transposed = architecture.model_type() == "gpt2";
  projection.out = static_cast<std::int64_t>((*module.shape)[projection.transposed ? 1 : 0]);
  projection.in = static_cast<std::int64_t>((*module.shape)[projection.transposed ? 0 : 1]);
  return projection;
}

class Planner {
 public:
  Planner(PeftConfig config, const format::Architecture& architecture)
      : architecture_(architecture) {
    adapter_.config = std::move(config);
  }

  Adapter plan() {
    if (adapter_.config.virtual_tokens > 0) return plan_virtual_tokens();
    take_default_targets(adapter_.config, architecture_);
    if (adapter_.config.kind != AdapterKind::bottleneck) refuse_outer_modules();
    for (std::uint64_t layer = 0; layer < architecture_.layer_count(); ++layer) add_layer(layer);
    if (adapter_.projections.empty()) {
      fail(ErrorCode::incompatible, "adapter_config.json: names no projection of this model");
    }
    refuse_unknown_parameters();
    return std::move(adapter_);
  }

 private:
  void add_slot(AdapterRole role, std::vector<std::int64_t> shape) {
    AdapterSlot slot{role,
                     adapter_.projections.empty() ? 0 : adapter_.projections.size() - 1,
                     std::move(shape),
                     adapter_.elements(),
                     1,
                     false};
    for (const std::int64_t size : slot.shape) slot.elements *= size;
    slot.decay = role == AdapterRole::lora_a || role == AdapterRole::lora_b ||
                 role == AdapterRole::down || role == AdapterRole::up;
    adapter_.slots.push_back(std::move(slot));
  }

  Adapter plan_virtual_tokens() {
    if (task_of(architecture_) != Task::next_token) {
      fail(ErrorCode::incompatible,
           "model type {}: {} stands before the text of a causal model, and of no other",
           quote(architecture_.model_type()),
           adapter_.config.kind == AdapterKind::prompt ? "a prompt" : "a prefix");
    }
    const format::LayerSpec& spec = architecture_.spec();
    const bool prompt = adapter_.config.kind == AdapterKind::prompt;
    const std::uint64_t width = prompt ? spec.hidden_size : spec.kv_heads * spec.head_dim;
    require_size("token_dim", adapter_.config.token_dim, width);
    if (!prompt) {
      require_size("num_attention_heads", adapter_.config.attention_heads, spec.kv_heads);
      require_size("num_layers", adapter_.config.layer_count, architecture_.layer_count());
    }
    const std::uint64_t columns = prompt ? width : width * 2 * architecture_.layer_count();
    add_slot(AdapterRole::virtual_tokens,
             {static_cast<std::int64_t>(adapter_.config.virtual_tokens),
              static_cast<std::int64_t>(columns)});
    return std::move(adapter_);
  }

  static void require_size(std::string_view key, std::optional<std::uint64_t> value,
                           std::uint64_t expected) {
    if (!value || *value == expected) return;
    fail(ErrorCode::incompatible, "adapter_config.json: {} is {}, the model has {}", quote(key),
         *value, expected);
  }

  bool targets(const std::string& module) const {
    return adapter_.config.targets.matches(module) && !adapter_.config.excluded.matches(module);
  }

  // Embeddings and heads: PEFT could adapt them, we cannot.
  void refuse_outer_modules() const {
    const format::FamilyLayout& layout = architecture_.layout();
    for (std::string_view name : {layout.embedding, layout.final_norm}) {
      refuse_module(std::string(layout.optional_prefix) + std::string(name));
    }
    refuse_module(std::string(layout.head));
  }

  void refuse_module(std::string name) const {
    if (name.ends_with(kWeight)) name.resize(name.size() - kWeight.size());
    if (!targets(name)) return;
    fail(ErrorCode::incompatible,
         "adapter_config.json: module {} is named, only projections of layers can be adapted",
         quote(name));
  }

  void add_layer(std::uint64_t layer) {
    const PeftConfig& config = adapter_.config;
    add_experts(layer);
    for (const Module& module : modules_of(architecture_)) {
      const std::string name =
          fmt::format("{}.{}", peft_layer_name(architecture_, layer), module.name);
      if (!config.wants_layer(layer, name)) continue;
      if (config.kind == AdapterKind::bottleneck) {
        add_bottleneck(layer, module);
        continue;
      }
      if (config.targets.all_linear()) {
        if (module.is_projection() && !config.excluded.matches(name))
          add_module(layer, module, name);
      } else if (targets(name)) {
        if (!module.is_projection()) refuse_module(name);
        add_module(layer, module, name);
      }
    }
  }

  void add_module(std::uint64_t layer, const Module& module, const std::string& name) {
    const PeftConfig& config = adapter_.config;
    AdaptedProjection p = make_projection(layer, module, architecture_);
    if (config.kind == AdapterKind::ia3) {
      p.feed_forward = config.feed_forward.matches(name);
      adapter_.projections.push_back(p);
      add_slot(AdapterRole::ia3, p.feed_forward ? std::vector<std::int64_t>{1, p.in}
                                                : std::vector<std::int64_t>{p.out, 1});
      return;
    }
    p.rank = static_cast<std::int64_t>(config.rank_of(name));
    p.scale = config.scale_of(name);
    adapter_.projections.push_back(p);
    add_slot(AdapterRole::lora_a, {p.rank, p.in});
    add_slot(AdapterRole::lora_b, {p.out, p.rank});
  }

  // layers_to_transform says nothing about parameters.
  void add_experts(std::uint64_t layer) {
    const format::LayerSpec& spec = architecture_.spec();
    if (adapter_.config.parameters.empty() || spec.experts.count == 0) return;
    std::vector<std::string_view> wanted;
    for (const std::string_view name : kExpertParameters) {
      if (wants_parameter(fmt::format("{}.{}", peft_layer_name(architecture_, layer), name))) {
        wanted.push_back(name);
      }
    }
    for (const std::string_view name : wanted) {
      add_expert_parameter(layer, name, name != wanted.back());
    }
  }

  void add_expert_parameter(std::uint64_t layer, std::string_view name, bool inner) {
    const format::LayerSpec& spec = architecture_.spec();
    const auto hidden = static_cast<std::int64_t>(spec.hidden_size);
    const auto width = static_cast<std::int64_t>(spec.intermediate_size);
    const std::string full = fmt::format("{}.{}", peft_layer_name(architecture_, layer), name);
    AdaptedProjection p;
    p.layer = layer;
    p.name = name;
    const bool first = name == kExpertParameters[0];
    p.in = first ? hidden : width;
    p.out = first ? 2 * width : hidden;
    p.experts = static_cast<std::int64_t>(spec.experts.count);
    p.inner = inner;
    p.rank = static_cast<std::int64_t>(adapter_.config.rank_of(full));
    p.scale = adapter_.config.scale_of(full);
    adapter_.projections.push_back(p);
    add_slot(AdapterRole::lora_a, {p.experts * p.rank, p.in});
    add_slot(AdapterRole::lora_b, {p.out, p.rank * p.experts});
  }

  static bool names(const std::string& target, const std::string& parameter) {
    return parameter == target || parameter.ends_with("." + target);
  }
  bool wants_parameter(const std::string& parameter) const {
    const auto& wanted = adapter_.config.parameters;
    return std::any_of(wanted.begin(), wanted.end(),
                       [&](const std::string& target) { return names(target, parameter); });
  }

  // PEFT would adapt any parameter; we know the experts' matrices.
  void refuse_unknown_parameters() const {
    for (const std::string& target : adapter_.config.parameters) {
      const bool known =
          std::any_of(adapter_.projections.begin(), adapter_.projections.end(), [&](const auto& p) {
            return p.experts > 0 &&
                   names(target,
                         fmt::format("{}.{}", peft_layer_name(architecture_, p.layer), p.name));
          });
      if (known) continue;
      fail(ErrorCode::incompatible,
           "adapter_config.json: target_parameters names {}, of parameters that are no module only "
           "experts' gate_up_proj and down_proj can be adapted",
           quote(target));
    }
  }

  void add_bottleneck(std::uint64_t layer, const Module& module) {
    const PeftConfig& config = adapter_.config;
    const bool wanted =
        contains(kMlpOutputs, module.name) || (config.placement == BottleneckPlacement::houlsby &&
                                               contains(kAttentionOutputs, module.name));
    if (!wanted) return;
    const AdaptedProjection p = make_projection(layer, module, architecture_);
    const auto size = static_cast<std::int64_t>(config.bottleneck_size);
    adapter_.projections.push_back(p);
    add_slot(AdapterRole::down, {size, p.out});
    add_slot(AdapterRole::down_bias, {size});
    add_slot(AdapterRole::up, {p.out, size});
    add_slot(AdapterRole::up_bias, {p.out});
  }

  const format::Architecture& architecture_;
  Adapter adapter_;
};

}  // namespace

std::int64_t Adapter::elements() const {
  return slots.empty() ? 0 : slots.back().offset + slots.back().elements;
}

std::uint64_t Adapter::layer_of(const AdapterSlot& slot) const {
  return projections.empty() ? 0 : projections[slot.projection].layer;
}

std::string Adapter::slot_name(const AdapterSlot& slot) const {
  if (slot.role == AdapterRole::virtual_tokens) return std::string(suffix(slot.role));
  const AdaptedProjection& p = projections[slot.projection];
  if (p.experts == 0) return p.name + std::string(suffix(slot.role));
  // The parameter has no name there, only how deep it is wrapped.
  const std::string module = p.name.substr(0, p.name.rfind('.'));
  return fmt::format("{}{}{}", module, p.inner ? ".base_layer" : "", suffix(slot.role));
}

std::string Adapter::stored_name(const AdapterSlot& slot,
                                 const format::Architecture& architecture) const {
  if (slot.role == AdapterRole::virtual_tokens) return slot_name(slot);
  return fmt::format("base_model.model.{}.{}", peft_layer_name(architecture, layer_of(slot)),
                     slot_name(slot));
}

Adapter plan_adapter(PeftConfig config, const format::Architecture& architecture) {
  return Planner(std::move(config), architecture).plan();
}

void initialise(Adapter& adapter, std::uint64_t seed) {
  adapter.values.assign(static_cast<std::size_t>(adapter.elements()), 0.0f);
  SplitMix64 random(seed);
  for (const AdapterSlot& slot : adapter.slots) {
    const auto fill = [&](auto make) {
      float* values = adapter.values.data() + slot.offset;
      std::generate_n(values, slot.elements, [&] { return static_cast<float>(make()); });
    };
    switch (slot.role) {
      case AdapterRole::lora_a: {
        const double bound = 1 / std::sqrt(static_cast<double>(slot.shape[1]));
        fill([&] { return bound * (2 * random.uniform() - 1); });
        break;
      }
      case AdapterRole::ia3: fill([] { return 1.0; }); break;
      case AdapterRole::down: fill([&] { return 0.02 * random.normal(); }); break;
      case AdapterRole::virtual_tokens:
        if (!adapter.config.start_at_zero) fill([&] { return random.normal(); });
        break;
      case AdapterRole::lora_b:
      case AdapterRole::down_bias:
      case AdapterRole::up:
      case AdapterRole::up_bias: break;
    }
  }
}

}  // namespace organ::train
