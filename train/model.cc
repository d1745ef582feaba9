// SPDX-License-Identifier: Apache-2.0
#include "train/internal/model.h"

#include <algorithm>
#include <optional>

#include <ATen/core/LegacyTypeDispatch.h>

#include "format/base/error.h"
#include "train/internal/geometry.h"
#include "train/internal/head.h"
#include "train/internal/layer.h"
#include "train/internal/weights.h"
#include "train/kernels/dispatch.h"

namespace organ::train {
namespace {

at::ScalarType scalar_type(Precision precision) {
  return precision == Precision::bf16 ? at::kBFloat16 : at::kFloat;
}

void check_batch(const Batch& batch) {
  check(batch.rows > 0 && batch.length > 0, "a batch needs rows and a length");
  check(batch.ids.defined() && batch.ids.numel() == batch.tokens(), "a batch needs its ids");
}

}  // namespace

void LayerTapeDeleter::operator()(LayerTape* tape) const noexcept { delete tape; }

struct Model::Impl {
  // Weights of one loaded layer; `gradient` only once it is bound.
  struct Slot {
    at::Tensor flat;
    LayerTensors weights;
    std::optional<LayerTensors> gradients;
  };

  format::Architecture architecture;
  Options options;
  Geometry geometry;
  std::int64_t first_layer = 0;
  std::vector<ParameterSlot> layout;
  std::int64_t layer_elements = 0;
  at::Tensor embedding;  // working [vocabulary, hidden]
  std::vector<Slot> layers;
  RopeTables rope;
  std::optional<Head> head;

  Impl(const format::Checkpoint& checkpoint, const Options& chosen)
      : architecture(checkpoint.architecture()),
        options(chosen),
        geometry(llama_geometry(architecture)),
        layout(llama_layout(architecture.tensors(), geometry)),
        rope({geometry.rope_theta, geometry.rope_scaling, geometry.head_size}) {
    check(options.head_chunk > 0, "head_chunk must be positive");
    layer_elements = layout.back().offset + layout.back().elements;
  }

  at::ScalarType working() const { return scalar_type(options.precision); }

  void load_ends(const format::Checkpoint& checkpoint) {
    const format::FamilyLayout& names = architecture.layout();
    const auto vocabulary = static_cast<std::int64_t>(architecture.vocab_size());
    const std::int64_t d = geometry.hidden_size;
    embedding = read_tensor(checkpoint, names.embedding, {vocabulary, d}, working());
    const at::Tensor projection =
        checkpoint.tied_head() ? embedding
                               : read_tensor(checkpoint, names.head, {vocabulary, d}, working());
    const at::Tensor norm = read_tensor(checkpoint, names.final_norm, {d}, working());
    head.emplace(kernels::convert(norm, at::kFloat), geometry.norm_epsilon, projection,
                 options.head_chunk);
  }

  void load_layer(const format::Checkpoint& checkpoint, std::int64_t index) {
    const auto tensors = checkpoint.layer(static_cast<std::uint64_t>(index));
    Slot slot;
    slot.flat = kernels::empty({layer_elements}, working());
    for (const ParameterSlot& parameter : layout) {
      read_weights(checkpoint, tensors.at(parameter.name),
                   slot.flat.narrow(0, parameter.offset, parameter.elements));
    }
    slot.weights = layer_views(slot.flat, layout, geometry);
    layers.push_back(std::move(slot));
  }

  Slot& slot(std::int64_t index) {
    check(index >= first_layer && index < first_layer + static_cast<std::int64_t>(layers.size()),
          "a layer was asked for that was not loaded");
    return layers[static_cast<std::size_t>(index - first_layer)];
  }

  // Calls action(layer, pass) for the maths of layer `index` over the batch.
  template <typename Action>
  at::Tensor with_layer(std::int64_t index, const Batch& batch, Action action) {
    const at::AutoDispatchBelowADInplaceOrView no_autograd;
    check_batch(batch);
    Slot& chosen = slot(index);
    rope.prepare(batch.length);
    const VisibleSpans spans(batch.first_key, batch.rows, batch.length,
                             geometry.windows[static_cast<std::size_t>(index)]);
    const kernels::HeadLayout heads{batch.rows, batch.length, geometry.kv_heads,
                                    geometry.heads / geometry.kv_heads, geometry.head_size};
    const LlamaLayer layer(geometry, chosen.weights,
                           chosen.gradients ? &*chosen.gradients : nullptr);
    return action(layer, Pass{heads, spans, rope});
  }
};

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

Model Model::load(const format::Checkpoint& checkpoint, const Options& options,
                  std::int64_t first_layer, std::int64_t last_layer) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  auto impl = std::make_unique<Impl>(checkpoint, options);
  const auto total = static_cast<std::int64_t>(impl->architecture.layer_count());
  const std::int64_t last = last_layer < 0 ? total : last_layer;
  check(first_layer >= 0 && first_layer <= last && last <= total, "layers outside of the model");
  impl->first_layer = first_layer;
  impl->load_ends(checkpoint);
  for (std::int64_t i = first_layer; i < last; ++i) impl->load_layer(checkpoint, i);
  return Model(std::move(impl));
}

const format::Architecture& Model::architecture() const { return impl_->architecture; }
Precision Model::precision() const { return impl_->options.precision; }
std::int64_t Model::layer_count() const {
  return static_cast<std::int64_t>(impl_->architecture.layer_count());
}
std::int64_t Model::hidden_size() const { return impl_->geometry.hidden_size; }
std::int64_t Model::vocab_size() const { return impl_->embedding.size(0); }
const std::vector<ParameterSlot>& Model::parameter_layout() const { return impl_->layout; }
std::int64_t Model::layer_elements() const { return impl_->layer_elements; }

void Model::bind_layer(std::int64_t index, LayerStorage storage) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  Impl::Slot& slot = impl_->slot(index);
  check(storage.working.numel() == impl_->layer_elements &&
            storage.working.scalar_type() == impl_->working() &&
            storage.gradient.numel() == impl_->layer_elements &&
            storage.gradient.scalar_type() == at::kFloat,
        "bind_layer got storage of another size or type");
  storage.working.copy_(slot.flat);
  slot.flat = storage.working;
  slot.weights = layer_views(slot.flat, impl_->layout, impl_->geometry);
  slot.gradients = layer_views(storage.gradient, impl_->layout, impl_->geometry);
}

at::Tensor Model::layer_parameters(std::int64_t index) const {
  return impl_->slot(index).flat.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
}

void Model::set_layer_parameters(std::int64_t index, const at::Tensor& flat_fp32) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  check(flat_fp32.numel() == impl_->layer_elements, "a layer's parameters have another size");
  impl_->slot(index).flat.copy_(flat_fp32);
}

at::Tensor Model::embed(const Batch& batch) const {
  check_batch(batch);
  const std::int64_t d = hidden_size(), vocabulary = vocab_size();
  const std::int64_t* ids = batch.ids.const_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < batch.tokens(); ++i) {
    if (ids[i] < 0 || ids[i] >= vocabulary) {
      fail(ErrorCode::invalid_argument, "position {}: token id {} but the vocabulary has {}", i,
           ids[i], vocabulary);
    }
  }
  at::Tensor x = kernels::empty({batch.tokens(), d}, at::kFloat);
  kernels::with_type(impl_->working(), [&]<typename T>(T) {
    const T* table = kernels::pointer<T>(impl_->embedding);
    float* out = kernels::floats(x);
    kernels::for_each_row(batch.tokens(), d, [&](std::int64_t i) {
      kernels::convert_row(table + ids[i] * d, out + i * d, d);
    });
  });
  return x;
}

at::Tensor Model::forward_layer(std::int64_t index, const at::Tensor& x, const Batch& batch,
                                LayerTapePtr* tape) {
  if (tape != nullptr) tape->reset(new LayerTape);
  return impl_->with_layer(index, batch, [&](const LlamaLayer& layer, const Pass& pass) {
    return layer.forward(x, pass, tape ? tape->get() : nullptr);
  });
}

at::Tensor Model::backward_layer(std::int64_t index, const at::Tensor& dy, LayerTapePtr tape,
                                 const Batch& batch, bool need_input_gradient) {
  check(tape != nullptr, "backward_layer needs the tape of a forward pass");
  return impl_->with_layer(index, batch, [&](const LlamaLayer& layer, const Pass& pass) {
    return layer.backward(dy, *tape, pass, need_input_gradient);
  });
}

LossSum Model::head_loss(const at::Tensor& x, const Batch& batch, double scale, at::Tensor* dx,
                         at::Tensor* per_token) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  return impl_->head->loss(x, batch.targets, scale, dx, per_token);
}

at::Tensor Model::logits(const at::Tensor& x, const std::vector<std::int64_t>& positions) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  return impl_->head->logits(x, positions);
}

}  // namespace organ::train
