// SPDX-License-Identifier: Apache-2.0
#include "train/internal/model.h"

#include <optional>

#include <ATen/core/LegacyTypeDispatch.h>

#include "format/base/error.h"
#include "format/mxfp4.h"
#include "train/internal/embedding.h"
#include "train/internal/geometry.h"
#include "train/internal/head.h"
#include "train/internal/layer.h"
#include "train/internal/layout.h"
#include "train/internal/weights.h"
#include "train/kernels/kernels.h"

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

struct Model::Impl {
  // One loaded layer: its weights, and its maths over views of them.
  struct Slot {
    at::Tensor flat;
    std::unique_ptr<Layer> layer;
  };

  format::Architecture architecture;
  Options options;
  Geometry geometry;
  std::vector<format::LayerTensor> tensors;
  const TensorNames& names;
  std::vector<ParameterSlot> layout;
  std::int64_t layer_elements = 0;
  std::int64_t first_layer = 0;
  std::optional<Embedding> embedding;
  std::vector<Slot> layers;
  std::optional<RopeTables> rope;
  std::optional<Head> head;

  Impl(const format::Checkpoint& checkpoint, const Options& chosen)
      : architecture(checkpoint.architecture()),
        options(chosen),
        geometry(read_geometry(architecture)),
        tensors(format::unpacked_tensors(architecture.tensors())),
        names(tensor_names(tensors)),
        layout(storage_layout(tensors, names)) {
    check(options.head_chunk > 0, "head_chunk must be positive");
    layer_elements = layout.back().offset + layout.back().elements;
    if (geometry.rope) rope.emplace(*geometry.rope);
  }

  at::ScalarType working() const { return scalar_type(options.precision); }

  void load_ends(const format::Checkpoint& checkpoint) {
    const format::FamilyLayout& outer = architecture.layout();
    const auto vocabulary = static_cast<std::int64_t>(architecture.vocab_size());
    const std::int64_t d = geometry.hidden_size;
    const auto read = [&](std::string_view name, at::IntArrayRef shape) {
      return read_tensor(checkpoint, checkpoint.full_name(name), shape, working());
    };
    const at::Tensor tokens = read(outer.embedding, {vocabulary, d});
    const auto positions = static_cast<std::int64_t>(architecture.max_positions());
    embedding.emplace(
        tokens, geometry.rope ? at::Tensor() : read(outer.position_embedding, {positions, d}));
    head.emplace(load_final_norm(checkpoint),
                 checkpoint.tied_head() ? tokens : read(outer.head, {vocabulary, d}),
                 options.head_chunk);
  }

  Normalization load_final_norm(const format::Checkpoint& checkpoint) const {
    std::string name = checkpoint.full_name(architecture.layout().final_norm);
    const auto read = [&](const std::string& tensor) {
      return read_tensor(checkpoint, tensor, {geometry.hidden_size}, working());
    };
    const at::Tensor gamma = read(name);
    at::Tensor beta;
    if (geometry.norm == NormKind::layer) {
      name.replace(name.rfind("weight"), std::string::npos, "bias");
      beta = read(name);
    }
    return {geometry.norm, geometry.norm_epsilon, {gamma, {}}, {beta, {}}};
  }

  void load_layer(const format::Checkpoint& checkpoint, std::int64_t index) {
    const auto stored = checkpoint.layer(static_cast<std::uint64_t>(index));
    const at::Tensor flat = kernels::empty({layer_elements}, working());
    for (const ParameterSlot& parameter : layout) {
      read_layer_tensor(checkpoint, stored, parameter.name,
                        flat.narrow(0, parameter.offset, parameter.elements));
    }
    layers.emplace_back();
    place_layer(index, flat, {});
  }

  // Makes layer `index` read `flat` and, where given, add to `gradient`.
  void place_layer(std::int64_t index, const at::Tensor& flat, const at::Tensor& gradient) {
    slot(index) = {flat,
                   make_layer(geometry, index, names, LayerParameters(layout, flat, gradient))};
  }

  Slot& slot(std::int64_t index) {
    check(index >= first_layer && index < first_layer + static_cast<std::int64_t>(layers.size()),
          "a layer was asked for that was not loaded");
    return layers[static_cast<std::size_t>(index - first_layer)];
  }

  Pass pass(const Batch& batch) {
    check_batch(batch);
    if (rope) rope->prepare(batch.length);
    return {batch, rope ? &*rope : nullptr};
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
std::int64_t Model::vocab_size() const { return impl_->embedding->vocab_size(); }
const std::vector<ParameterSlot>& Model::parameter_layout() const { return impl_->layout; }
std::int64_t Model::layer_elements() const { return impl_->layer_elements; }

std::int64_t Model::layer_multiplications() const {
  std::int64_t sum = 0;
  for (const ParameterSlot& slot : impl_->layout) {
    if (slot.name.ends_with("bias")) continue;
    if (slot.shape.size() == 2) sum += slot.elements;
    if (slot.shape.size() == 3) {
      sum += slot.elements / impl_->geometry.experts * impl_->geometry.experts_per_token;
    }
  }
  return sum;
}

void Model::bind_layer(std::int64_t index, LayerStorage storage) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  const Impl::Slot& slot = impl_->slot(index);
  check(storage.working.numel() == impl_->layer_elements &&
            storage.working.scalar_type() == impl_->working() &&
            storage.gradient.numel() == impl_->layer_elements &&
            storage.gradient.scalar_type() == at::kFloat,
        "bind_layer got storage of another size or type");
  storage.working.copy_(slot.flat);
  impl_->place_layer(index, storage.working, storage.gradient);
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
  return impl_->embedding->forward(batch);
}

at::Tensor Model::forward_layer(std::int64_t index, const at::Tensor& x, const Batch& batch,
                                LayerTapePtr* tape) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  const Pass pass = impl_->pass(batch);
  return impl_->slot(index).layer->forward(x, pass, tape);
}

at::Tensor Model::backward_layer(std::int64_t index, const at::Tensor& dy, LayerTapePtr tape,
                                 const Batch& batch, bool need_input_gradient) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  check(tape != nullptr, "backward_layer needs the tape of a forward pass");
  const Pass pass = impl_->pass(batch);
  return impl_->slot(index).layer->backward(dy, *tape, pass, need_input_gradient);
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
