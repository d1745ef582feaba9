// SPDX-License-Identifier: Apache-2.0
#include "train/model/model.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/zeros.h>

#include "format/base/fail.h"
#include "train/model/internal/model_impl.h"

namespace organ::train {

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

Model Model::load(const format::Checkpoint& checkpoint, const Options& options,
                  std::int64_t first_layer, std::int64_t last_layer) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  const OpenStacks open(checkpoint);
  auto impl = std::make_unique<Impl>(checkpoint, options);
  impl->load_stacks(open.parts());
  const std::int64_t total = impl->stacks.back().first + impl->stacks.back().count;
  const std::int64_t last = last_layer < 0 ? total : last_layer;
  check(first_layer >= 0 && first_layer <= last && last <= total, "layers outside of the model");
  impl->first_layer = first_layer;
  impl->ends.emplace(impl->reader_of(*open.parts().back()), impl->geometry(),
                     impl->options.head_chunk);
  for (std::int64_t i = first_layer; i < last; ++i) {
    const std::size_t number = impl->stack_number(i);
    impl->load_layer(*open.parts()[number], impl->stacks[number], i);
  }
  return Model(std::move(impl));
}

Model Model::share() const {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  return Model(std::make_unique<Impl>(*impl_));
}

const format::Architecture& Model::architecture() const { return impl_->architecture; }
Precision Model::precision() const { return impl_->options.precision; }
at::Device Model::device() const { return impl_->options.device; }
std::int64_t Model::layer_count() const {
  return impl_->stacks.back().first + impl_->stacks.back().count;
}
std::int64_t Model::place_of(std::uint64_t layer) const {
  return impl_->stacks[impl_->own].first + static_cast<std::int64_t>(layer);
}
std::int64_t Model::hidden_size() const { return impl_->geometry().hidden_size; }
std::int64_t Model::vocab_size() const { return impl_->ends->embedding().vocab_size(); }
const std::vector<ParameterSlot>& Model::parameter_layout() const {
  return impl_->stacks[impl_->own].layout;
}
std::int64_t Model::layer_elements() const { return impl_->stacks[impl_->own].layer_elements; }

std::int64_t Model::row_multiplications(std::int64_t index, std::int64_t length,
                                        std::int64_t source) const {
  return impl_->stack_of(index).row_multiplications(length, source);
}

ModelBatch Model::open(const Batch& batch) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  impl_->check_batch(batch);
  std::optional<WideBatch> wide;
  if (impl_->virtual_tokens > 0 && !impl_->virtual_left_out) {
    wide = widen(batch, impl_->virtual_tokens);
  }
  return {batch, std::move(wide)};
}

at::Tensor Model::embed(ModelBatch& batch) const {
  return impl_->ends->embedding().forward(batch.running_->batch());
}

bool Model::embedding_trains() const { return impl_->ends->embedding().trains(); }

void Model::backward_embed(const at::Tensor& dx, ModelBatch& batch) {
  impl_->ends->embedding().backward(dx, batch.running_->batch());
}

at::Tensor Model::forward_layer(std::int64_t index, const at::Tensor& x, ModelBatch& batch,
                                LayerTapePtr* tape) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  at::Tensor y = impl_->slot(index).layer->forward(x, impl_->pass(index, *batch.running_), tape);
  return batch.wide_ && impl_->is_last(index) ? batch.wide_->own_rows(y) : y;
}

at::Tensor Model::backward_layer(std::int64_t index, const at::Tensor& dy, LayerTapePtr tape,
                                 ModelBatch& batch, bool need_input_gradient) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  check(tape != nullptr, "backward_layer needs the tape of a forward pass");
  const bool spread = batch.wide_ && impl_->is_last(index);
  return impl_->slot(index).layer->backward(spread ? batch.wide_->spread(dy) : dy, *tape,
                                            impl_->pass(index, *batch.running_),
                                            need_input_gradient);
}

bool Model::has_head() const { return impl_->ends->has_head(); }

LossSum Model::head_loss(const at::Tensor& x, const Batch& batch, double scale, at::Tensor* dx,
                         at::Tensor* per_token) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  return impl_->ends->head().loss(x, batch.targets, scale, dx, per_token);
}

std::int64_t Model::head_chunk() const { return impl_->options.head_chunk; }

LossSum Model::uniform_loss(const at::Tensor& targets, at::Tensor* per_token) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  const at::Tensor x = at::zeros({targets.numel(), hidden_size()},
                                 at::TensorOptions().dtype(at::kFloat).device(device()));
  return impl_->ends->head().unshifted().loss(x, targets, 1.0, nullptr, per_token);
}

at::Tensor Model::logits(const at::Tensor& x, const std::vector<std::int64_t>& positions) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  return impl_->ends->head().logits(x, positions);
}

}  // namespace organ::train
