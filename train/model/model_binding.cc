// SPDX-License-Identifier: Apache-2.0
// What trains in a model: its layers, its ends, and what adapters put beside them.
#include <ATen/core/LegacyTypeDispatch.h>

#include "format/base/fail.h"
#include "train/model/internal/model_impl.h"

namespace organ::train {

void Model::bind_layer(std::int64_t index, LayerStorage storage) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  Impl::Slot& slot = impl_->own_slot(index);
  check(storage.working.numel() == layer_elements() &&
            storage.working.scalar_type() == impl_->working() &&
            storage.gradient.numel() == layer_elements() &&
            storage.gradient.scalar_type() == at::kFloat,
        "bind_layer got storage of another size or type");
  storage.working.copy_(slot.flat);
  slot.flat = std::move(storage.working);
  slot.gradient = std::move(storage.gradient);
  impl_->remake_layer(index);
}

void Model::adapt_layer(std::int64_t index, std::vector<AdapterParameters> adapters) {
  impl_->own_slot(index).adapters = std::move(adapters);
  impl_->remake_layer(index);
}

void Model::set_virtual_tokens(std::int64_t count, const Parameter& prompt) {
  check(impl_->stacks.size() == 1, "virtual tokens are for a model of one stack");
  impl_->virtual_tokens = count;
  impl_->ends->embedding().set_virtual_tokens(count, prompt);
}

std::int64_t Model::virtual_tokens() const { return impl_->virtual_tokens; }

void Model::leave_out_virtual_tokens(bool left_out) { impl_->virtual_left_out = left_out; }

void Model::prefix_layer(std::int64_t index, const Parameter& keys_and_values) {
  impl_->own_slot(index).prefix = keys_and_values;
  impl_->remake_layer(index);
}

void Model::set_layer_parameters(std::int64_t index, const at::Tensor& flat_fp32) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  check(flat_fp32.numel() == layer_elements(), "a layer's parameters have another size");
  impl_->own_slot(index).flat.copy_(flat_fp32);
}

bool Model::ends_train() const { return impl_->ends->train(); }

std::vector<ParameterSlot> Model::end_layout() const { return impl_->ends->layout(); }

void Model::bind_ends(const LayerStorage& storage) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  impl_->ends->bind(storage);
}

}  // namespace organ::train
