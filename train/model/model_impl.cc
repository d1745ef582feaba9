// SPDX-License-Identifier: Apache-2.0
#include "train/model/internal/model_impl.h"

#include "format/base/fail.h"
#include "train/kernels/elementwise.h"
#include "train/weights/stored_weights.h"

namespace organ::train {

Model::Impl::Impl(const format::Checkpoint& checkpoint, const Options& chosen)
    : architecture(checkpoint.architecture()), options(chosen) {
  check(options.head_chunk >= 0, "head_chunk is negative");
  // Rows that make one product: a device wants larger ones than a CPU.
  if (options.head_chunk == 0) options.head_chunk = options.device.is_cpu() ? 512 : 4096;
}

Model::Impl::Impl(const Impl& other)
    : architecture(other.architecture),
      options(other.options),
      stacks(other.stacks),
      own(other.own),
      first_layer(other.first_layer),
      ends(other.ends),
      rope(other.rope),
      virtual_tokens(other.virtual_tokens),
      virtual_left_out(other.virtual_left_out) {
  for (const Slot& slot : other.layers) {
    layers.push_back({slot.flat, slot.gradient, slot.adapters, slot.prefix, nullptr});
  }
  for (std::size_t i = 0; i < layers.size(); ++i) {
    remake_layer(first_layer + static_cast<std::int64_t>(i));
  }
}

void Model::Impl::load_stacks(std::span<const format::Checkpoint* const> parts) {
  std::int64_t first = 0;
  for (const format::Checkpoint* part : parts) {
    if (part->architecture().stack() == architecture.stack()) own = stacks.size();
    stacks.emplace_back(*part, first, options.device);
    first += stacks.back().count;
  }
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    stacks[i].closing = reader_of(*parts[i]).norm(final_norm(*parts[i]), geometry());
  }
  if (geometry().rope) rope.emplace(*geometry().rope, options.device);
}

void Model::Impl::load_layer(const format::Checkpoint& part, const Stack& stack,
                             std::int64_t index) {
  const auto stored = part.layer(static_cast<std::uint64_t>(index - stack.first));
  const at::Tensor flat = kernels::empty({stack.layer_elements}, working(), options.device);
  for (const ParameterSlot& parameter : stack.layout) {
    read_layer_tensor(part, stored, parameter.name,
                      flat.narrow(0, parameter.offset, parameter.elements));
  }
  layers.push_back({flat, {}, {}, {}, nullptr});
  remake_layer(index);
}

std::size_t Model::Impl::stack_number(std::int64_t index) const {
  std::size_t number = 0;
  while (number < stacks.size() && !stacks[number].holds(index)) ++number;
  check(number < stacks.size(), "a layer was asked for that the model does not have");
  return number;
}

at::ScalarType Model::Impl::working() const {
  return options.precision == Precision::bf16 ? at::kBFloat16 : at::kFloat;
}

TensorReader Model::Impl::reader_of(const format::Checkpoint& checkpoint) const {
  return {checkpoint, working(), options.device};
}

Model::Impl::Slot& Model::Impl::slot(std::int64_t index) {
  check(index >= first_layer && index < first_layer + static_cast<std::int64_t>(layers.size()),
        "a layer was asked for that was not loaded");
  return layers[static_cast<std::size_t>(index - first_layer)];
}

Model::Impl::Slot& Model::Impl::own_slot(std::int64_t index) {
  check(stacks[own].holds(index), "a layer of another stack than the checkpoint's cannot train");
  return slot(index);
}

void Model::Impl::remake_layer(std::int64_t index) {
  const Stack& stack = stack_of(index);
  Slot& s = slot(index);
  const bool last = index + 1 == stack.first + stack.count;
  s.layer = make_layer(stack.geometry, index - stack.first, stack.names,
                       LayerParameters(stack.layout, s.flat, s.gradient, s.adapters, s.prefix),
                       last && stack.closing ? &*stack.closing : nullptr);
}

void Model::Impl::check_batch(const Batch& batch) const {
  check(batch.rows > 0 && batch.length > 0, "a batch needs rows and a length");
  check(batch.ids.defined() && batch.ids.numel() == batch.tokens(), "a batch needs its ids");
  check((stacks.size() > 1) == (batch.source > 0), "a batch is for another kind of model");
  // Each document alone would be turned by its own length.
  const std::int64_t positions = batch.past + batch.length;
  if (!rope || !batch.first_key.defined() || !rope->depends_on(positions)) return;
  const std::uint64_t trained = architecture.max_positions();
  throw Error(ErrorCode::incompatible,
              fmt::format("dynamic rope scaling: a window of {} positions, longer than the {} of "
                          "the model's training, holds several documents or padding",
                          positions, trained),
              fmt::format("--context {} at most gives every document its own positions", trained));
}

Pass Model::Impl::pass(std::int64_t index, OpenBatch& open, KeyValues* cache) {
  const std::int64_t positions = open.batch().past + open.batch().length;
  if (rope) rope->prepare(positions);
  std::optional<RelativeBias>& relative = stacks[stack_number(index)].relative;
  if (relative) relative->prepare(positions);
  return {open, rope ? &*rope : nullptr, cache, relative ? &*relative : nullptr};
}

}  // namespace organ::train
