// SPDX-License-Identifier: Apache-2.0
#include "train/weights/layer_parameters.h"

#include <algorithm>
#include <array>

#include <c10/util/accumulate.h>

#include "format/base/fail.h"

namespace organ::train {
namespace {

ParameterSlot make_slot(const format::LayerTensor& tensor, std::int64_t offset) {
  ParameterSlot slot{tensor.name, {}, offset, 1, true};
  for (const std::uint64_t size : tensor.shape) {
    slot.shape.push_back(static_cast<std::int64_t>(size));
    slot.elements *= slot.shape.back();
  }
  // Matrices; experts' biases are as many rows as there are experts.
  slot.decay = slot.shape.size() >= 2 && !slot.name.ends_with("bias");
  return slot;
}

auto find_slot(const std::vector<ParameterSlot>& layout, std::string_view name) {
  return std::find_if(layout.begin(), layout.end(),
                      [&](const ParameterSlot& each) { return each.name == name; });
}

}  // namespace

std::vector<ParameterSlot> storage_layout(const std::vector<format::LayerTensor>& tensors,
                                          const TensorNames& names) {
  std::vector<ParameterSlot> layout;
  std::int64_t offset = 0;
  for (const std::string_view name : names.storage_order) {
    const auto found = std::find_if(tensors.begin(), tensors.end(),
                                    [&](const auto& tensor) { return tensor.name == name; });
    if (found == tensors.end()) continue;
    layout.push_back(make_slot(*found, offset));
    offset += layout.back().elements;
  }
  return layout;
}

Parameter LayerParameters::run(std::string_view first, at::IntArrayRef shape) const {
  auto slot = find_slot(layout_, first);
  if (slot == layout_.end()) return {};
  const std::int64_t start = slot->offset, elements = c10::multiply_integers(shape);
  std::int64_t covered = 0;
  while (slot != layout_.end() && covered < elements) covered += (slot++)->elements;
  check(covered == elements, "a layer's tensors have other sizes than its architecture");
  const auto view = [&](const at::Tensor& flat) {
    return flat.defined() ? flat.narrow(0, start, elements).view(shape) : at::Tensor();
  };
  return {view(values_), view(gradients_)};
}

Projection LayerParameters::projection(std::string_view first, std::int64_t in, std::int64_t out,
                                       Orientation orientation) const {
  const auto shape = orientation == Orientation::out_in ? std::array{out, in} : std::array{in, out};
  Parameter weight = run(std::string(first) + ".weight", shape);
  check(weight.value.defined(), "a layer lacks one of its matrices");
  // What make_unique made is lost sight of where it becomes a pointer to its base.
  // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks)
  auto adapted = adaptation(*find_slot(layout_, std::string(first) + ".weight"), in, out);
  return {std::move(weight), run(std::string(first) + ".bias", {out}), orientation,
          std::move(adapted)};
}

// The adapters of the matrices that lie in the run of the product that starts with `first`. Only
// Linear matrices are joined to one product, so a part's rows are columns of its output.
std::unique_ptr<Adaptation> LayerParameters::adaptation(const ParameterSlot& first, std::int64_t in,
                                                        std::int64_t out) const {
  std::vector<AdaptedPart> parts;
  for (const AdapterParameters& adapter : adapters_) {
    const auto slot = find_slot(layout_, adapter.projection.name + ".weight");
    if (slot == layout_.end() || slot->offset < first.offset ||
        slot->offset >= first.offset + in * out) {
      continue;
    }
    parts.push_back({(slot->offset - first.offset) / in, adapter});
  }
  return parts.empty() ? nullptr : make_adaptation(std::move(parts), out);
}

namespace {

// The rank rows or, with `by_column`, columns of one expert, as AdapterRole says they lie.
Parameter expert_slice(const Parameter& all, std::int64_t rank, std::int64_t experts,
                       std::int64_t expert, bool by_column) {
  const auto of = [&](const at::Tensor& tensor) {
    if (!tensor.defined()) return tensor;
    return by_column ? tensor.view({tensor.size(0), rank, experts}).select(2, expert)
                     : tensor.narrow(0, expert * rank, rank);
  };
  return {of(all.value), of(all.gradient)};
}

}  // namespace

std::unique_ptr<Adaptation> LayerParameters::expert_adaptation(std::string_view name,
                                                               std::int64_t expert) const {
  for (AdapterParameters adapter : adapters_) {
    const AdaptedProjection& p = adapter.projection;
    if (p.name != name) continue;
    adapter.lora_a = expert_slice(adapter.lora_a, p.rank, p.experts, expert, false);
    adapter.lora_b = expert_slice(adapter.lora_b, p.rank, p.experts, expert, true);
    return make_adaptation({{0, adapter}}, p.out);
  }
  return nullptr;
}

}  // namespace organ::train
