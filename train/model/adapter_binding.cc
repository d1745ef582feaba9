// SPDX-License-Identifier: Apache-2.0
#include "train/model/adapter_binding.h"

#include <algorithm>
#include <map>

#include <ATen/ops/zeros_like.h>

#include "format/base/fail.h"
#include "train/kernels/elementwise.h"
#include "train/weights/adaptation.h"

namespace organ::train {
namespace {

Parameter& place_of(AdapterParameters& parameters, AdapterRole role) {
  switch (role) {
    case AdapterRole::lora_a: return parameters.lora_a;
    case AdapterRole::lora_b: return parameters.lora_b;
    case AdapterRole::ia3: return parameters.ia3;
    case AdapterRole::down: return parameters.down;
    case AdapterRole::down_bias: return parameters.down_bias;
    case AdapterRole::up: return parameters.up;
    case AdapterRole::up_bias: return parameters.up_bias;
    case AdapterRole::virtual_tokens: break;
  }
  throw Error(ErrorCode::internal, "an adapter role without a place");
}

Parameter view_of(const AdapterSlot& slot, const AdapterBuffers& buffers) {
  const bool vector = slot.role == AdapterRole::ia3;
  const at::Tensor& values = vector ? buffers.master : buffers.working;
  const auto view = [&](const at::Tensor& flat) {
    if (!flat.defined()) return at::Tensor();
    const at::Tensor run = flat.narrow(0, slot.offset, slot.elements);
    return vector ? run : run.view(slot.shape);
  };
  return {view(values), view(buffers.gradient)};
}

// The flat run is [positions, layers, 2, kv_heads, head_size].
void bind_prefix(Model& model, const Parameter& numbers) {
  const format::LayerSpec& spec = model.architecture().spec();
  const std::int64_t layers = model.layer_count();
  const auto of_layer = [&](const at::Tensor& all, std::int64_t layer) {
    if (!all.defined()) return at::Tensor();
    return all
        .view({all.size(0), layers, 2, static_cast<std::int64_t>(spec.kv_heads),
               static_cast<std::int64_t>(spec.head_dim)})
        .select(1, layer);
  };
  for (std::int64_t i = 0; i < layers; ++i) {
    model.prefix_layer(i, {of_layer(numbers.value, i), of_layer(numbers.gradient, i)});
  }
}

void bind_virtual_tokens(Model& model, const Adapter& adapter, const AdapterBuffers& buffers) {
  const Parameter numbers = view_of(adapter.slots.front(), buffers);
  const bool prompt = adapter.config.kind == AdapterKind::prompt;
  model.set_virtual_tokens(static_cast<std::int64_t>(adapter.config.virtual_tokens),
                           prompt ? numbers : Parameter());
  if (!prompt) bind_prefix(model, numbers);
}

}  // namespace

AdapterBuffers make_buffers(const Adapter& adapter, const Model& model, bool trains) {
  const at::Tensor values = kernels::empty({adapter.elements()}, at::kFloat);
  std::copy(adapter.values.begin(), adapter.values.end(), values.mutable_data_ptr<float>());
  AdapterBuffers buffers;
  buffers.master = values.to(model.device());
  buffers.working =
      model.precision() == Precision::bf16 ? buffers.master.to(at::kBFloat16) : buffers.master;
  if (trains) buffers.gradient = at::zeros_like(buffers.master);
  return buffers;
}

void bind_adapter(Model& model, const Adapter& adapter, const AdapterBuffers& buffers) {
  if (!model.architecture().stack().empty()) {
    fail(ErrorCode::incompatible,
         "model type {}: adapters of an encoder-decoder are neither trained nor measured, their "
         "names reach into both of its stacks",
         quote(model.architecture().model_type()));
  }
  if (adapter.config.virtual_tokens > 0) return bind_virtual_tokens(model, adapter, buffers);
  std::vector<AdapterParameters> all;
  for (const AdaptedProjection& projection : adapter.projections) {
    all.push_back({.kind = adapter.config.kind, .projection = projection});
  }
  for (const AdapterSlot& slot : adapter.slots) {
    place_of(all[slot.projection], slot.role) = view_of(slot, buffers);
  }
  std::map<std::uint64_t, std::vector<AdapterParameters>> by_layer;
  for (AdapterParameters& parameters : all) {
    by_layer[parameters.projection.layer].push_back(std::move(parameters));
  }
  for (auto& [layer, parameters] : by_layer) {
    model.adapt_layer(model.place_of(layer), std::move(parameters));
  }
}

}  // namespace organ::train
