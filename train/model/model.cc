// SPDX-License-Identifier: Apache-2.0
#include "train/model/model.h"

#include <optional>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include "format/base/error.h"
#include "train/kernels/elementwise.h"
#include "train/layers/key_values.h"
#include "train/layers/layer.h"
#include "train/model/internal/embedding.h"
#include "train/model/internal/head.h"
#include "train/model/internal/stack.h"
#include "train/passes/batches.h"
#include "train/positions/batch_visibility.h"
#include "train/positions/stream_parts.h"
#include "train/positions/virtual_tokens.h"
#include "train/weights/geometry.h"
#include "train/weights/layer_parameters.h"
#include "train/weights/stored_weights.h"

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
    at::Tensor flat, gradient;
    std::vector<AdapterParameters> adapters;
    Parameter prefix;
    std::unique_ptr<Layer> layer;
  };

  format::Architecture architecture;
  Options options;
  std::vector<Stack> stacks;  // as they run
  std::size_t own = 0;        // that of the checkpoint
  std::int64_t first_layer = 0;
  std::optional<Embedding> embedding;
  std::vector<Slot> layers;
  std::optional<RopeTables> rope;
  BatchVisibility spans;
  std::optional<Head> head;
  bool tied = false, ends_bound = false;
  std::vector<std::string> end_names;  // as end_values()
  std::optional<VirtualTokens> virtual_tokens;
  bool virtual_left_out = false;

  Impl(const format::Checkpoint& checkpoint, const Options& chosen)
      : architecture(checkpoint.architecture()), options(chosen) {
    check(options.head_chunk > 0, "head_chunk must be positive");
  }

  // `parts`: the model's checkpoint as each of its stacks shows it, as they run.
  void load_stacks(std::span<const format::Checkpoint* const> parts) {
    std::int64_t first = 0;
    for (const format::Checkpoint* part : parts) {
      if (part->architecture().stack() == architecture.stack()) own = stacks.size();
      stacks.emplace_back(*part, first, options.device);
      first += stacks.back().count;
    }
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      stacks[i].closing = read_norm(*parts[i], final_norm(*parts[i]));
    }
    if (geometry().rope) rope.emplace(*geometry().rope, options.device);
  }

  // Of the stack that the head reads.
  const Geometry& geometry() const { return stacks.back().geometry; }

  std::size_t stack_number(std::int64_t index) const {
    std::size_t number = 0;
    while (number < stacks.size() && !stacks[number].holds(index)) ++number;
    check(number < stacks.size(), "a layer was asked for that the model does not have");
    return number;
  }
  const Stack& stack_of(std::int64_t index) const { return stacks[stack_number(index)]; }

  at::ScalarType working() const { return scalar_type(options.precision); }

  at::Tensor read(const format::Checkpoint& checkpoint, const std::string& name,
                  at::IntArrayRef shape) const {
    return read_tensor(checkpoint, name, shape, working(), options.device);
  }

  // The norm of the embedding, of the model's end or of its head: NAME.weight, NAME.bias.
  Normalization read_norm(const format::Checkpoint& checkpoint, const std::string& name) const {
    const Geometry& g = geometry();
    const at::IntArrayRef shape(g.hidden_size);
    const at::Tensor gamma = read(checkpoint, name + ".weight", shape);
    const bool shifted = g.norm == NormKind::layer;
    const at::Tensor beta = shifted ? read(checkpoint, name + ".bias", shape) : at::Tensor();
    return {g.norm, g.norm_epsilon, {gamma, {}}, {beta, {}}};
  }

  // The name of the norm behind a stack's last layer, without ".weight".
  static std::string final_norm(const format::Checkpoint& checkpoint) {
    std::string norm = checkpoint.full_name(checkpoint.architecture().layout().final_norm);
    norm.resize(norm.rfind(".weight"));
    return norm;
  }

  void load_ends(const format::Checkpoint& checkpoint) {
    const format::FamilyLayout& outer = checkpoint.architecture().layout();
    const auto vocabulary = static_cast<std::int64_t>(architecture.vocab_size());
    const std::int64_t d = geometry().hidden_size;
    const at::Tensor tokens =
        read(checkpoint, checkpoint.full_name(outer.embedding), {vocabulary, d});
    load_embedding(checkpoint, tokens);
    tied = checkpoint.tied_head();
    const auto projection = [&] {
      return tied ? tokens : read(checkpoint, std::string(outer.head), {vocabulary, d});
    };
    if (!outer.head_transform.empty()) {
      load_masked_head(checkpoint, projection);
      return;
    }
    head.emplace(read_norm(checkpoint, final_norm(checkpoint)), projection(), options.head_chunk,
                 at::Tensor(), std::nullopt, head_input_scale(checkpoint));
    name_ends(checkpoint);
  }

  void name_ends(const format::Checkpoint& checkpoint) {
    const format::FamilyLayout& outer = architecture.layout();
    end_names = {checkpoint.full_name(outer.embedding)};
    if (embedding->positions().defined()) {
      end_names.push_back(checkpoint.full_name(outer.position_embedding));
    }
    end_names.push_back(final_norm(checkpoint) + ".weight");
    if (head->norm().beta().value.defined()) end_names.push_back(final_norm(checkpoint) + ".bias");
    if (!tied) end_names.emplace_back(outer.head);
  }

  // What is outside of the layers.
  std::vector<at::Tensor> end_values() const {
    if (stacks.size() > 1 || end_names.empty()) {
      fail(ErrorCode::incompatible,
           "model type {}: its embeddings and head do not train, those of causal models do",
           quote(architecture.model_type()));
    }
    std::vector<at::Tensor> values = {embedding->tokens()};
    if (embedding->positions().defined()) values.push_back(embedding->positions());
    values.push_back(head->norm().gamma().value);
    if (head->norm().beta().value.defined()) values.push_back(head->norm().beta().value);
    if (!tied) values.push_back(head->projection());
    return values;
  }

  // `ends` in the order of end_values().
  void bind_ends(std::span<const Parameter> ends) {
    std::size_t next = 0;
    const Parameter tokens = ends[next++];
    const Parameter positions = embedding->positions().defined() ? ends[next++] : Parameter();
    const Parameter gamma = ends[next++];
    const Parameter beta = head->norm().beta().value.defined() ? ends[next++] : Parameter();
    embedding->bind(tokens, positions);
    head->bind(gamma, beta, tied ? tokens : ends[next]);
    ends_bound = true;
  }

  void load_embedding(const format::Checkpoint& checkpoint, const at::Tensor& tokens) {
    const format::FamilyLayout& outer = architecture.layout();
    const std::int64_t d = geometry().hidden_size;
    at::Tensor positions, common;
    std::optional<Normalization> norm;
    if (geometry().learned_positions) {
      positions = read(checkpoint, checkpoint.full_name(outer.position_embedding),
                       {static_cast<std::int64_t>(architecture.max_positions()), d});
    }
    if (!outer.token_types.empty()) {
      const std::string name = checkpoint.full_name(outer.token_types);
      const auto& shape = checkpoint.locate(name).tensor->shape;
      const auto types = static_cast<std::int64_t>(shape.empty() ? 0 : shape[0]);
      if (types == 0) fail(ErrorCode::corrupt, "tensor {}: is empty", quote(name));
      common = read(checkpoint, name, {types, d})[0];
    }
    if (!outer.embedding_norm.empty()) {
      norm = read_norm(checkpoint, checkpoint.full_name(outer.embedding_norm));
    }
    embedding.emplace(tokens, positions, common, std::move(norm));
  }

  // A folder of a masked model may come without its head.
  template <typename ReadProjection>
  void load_masked_head(const format::Checkpoint& checkpoint, ReadProjection projection) {
    const format::FamilyLayout& outer = architecture.layout();
    const std::string dense = std::string(outer.head_transform) + ".dense";
    if (!checkpoint.find(dense + ".weight")) return;
    const std::int64_t d = geometry().hidden_size;
    const auto vocabulary = static_cast<std::int64_t>(architecture.vocab_size());
    // Tied, the decoder has the head's bias; else its own.
    std::string bias(outer.head);
    bias.replace(bias.rfind("weight"), std::string::npos, "bias");
    if (checkpoint.tied_head() || !checkpoint.find(bias)) bias = outer.head_bias;
    HeadTransform transform{
        Projection({read(checkpoint, dense + ".weight", {d, d}), {}},
                   {read(checkpoint, dense + ".bias", {d}), {}}, Orientation::out_in, nullptr),
        geometry().activation};
    head.emplace(read_norm(checkpoint, std::string(outer.head_transform) + ".LayerNorm"),
                 projection(), options.head_chunk, read(checkpoint, bias, {vocabulary}),
                 std::move(transform));
  }

  Head& required_head() {
    if (head) return *head;
    fail(ErrorCode::incompatible, "the checkpoint has no {}: it cannot be trained or measured",
         quote(std::string(architecture.layout().head_transform) + ".dense.weight"));
  }

  void load_layer(const format::Checkpoint& part, const Stack& stack, std::int64_t index) {
    const auto stored = part.layer(static_cast<std::uint64_t>(index - stack.first));
    const at::Tensor flat = kernels::empty({stack.layer_elements}, working(), options.device);
    for (const ParameterSlot& parameter : stack.layout) {
      read_layer_tensor(part, stored, parameter.name,
                        flat.narrow(0, parameter.offset, parameter.elements));
    }
    layers.push_back({flat, {}, {}, {}, nullptr});
    remake_layer(index);
  }

  // After a change of what layer `index` reads or adds to.
  void remake_layer(std::int64_t index) {
    const Stack& stack = stack_of(index);
    Slot& s = slot(index);
    const bool last = index + 1 == stack.first + stack.count;
    s.layer = make_layer(stack.geometry, index - stack.first, stack.names,
                         LayerParameters(stack.layout, s.flat, s.gradient, s.adapters, s.prefix),
                         last && stack.closing ? &*stack.closing : nullptr);
  }

  Slot& slot(std::int64_t index) {
    check(index >= first_layer && index < first_layer + static_cast<std::int64_t>(layers.size()),
          "a layer was asked for that was not loaded");
    return layers[static_cast<std::size_t>(index - first_layer)];
  }

  // A layer that trains.
  Slot& own_slot(std::int64_t index) {
    check(stacks[own].holds(index), "a layer of another stack than the checkpoint's cannot train");
    return slot(index);
  }

  // null: the batch runs as it is.
  VirtualTokens* active_virtual_tokens() {
    return virtual_tokens && !virtual_left_out ? &*virtual_tokens : nullptr;
  }
  // What runs of a batch.
  const Batch& running(const Batch& batch) {
    check_batch(batch);
    VirtualTokens* more = active_virtual_tokens();
    return more != nullptr ? more->widened(batch) : batch;
  }
  // The virtual positions of the batch after layer `index`; null: none, or they are still needed.
  VirtualTokens* dropped_after(std::int64_t index) {
    const bool top = index + 1 == stacks.back().first + stacks.back().count;
    return top ? active_virtual_tokens() : nullptr;
  }

  // Of layer `index`.
  Pass pass(std::int64_t index, const Batch& batch, KeyValues* cache = nullptr) {
    check_batch(batch);
    check((stacks.size() > 1) == (batch.source > 0), "a batch is for another kind of model");
    if (rope) rope->prepare(batch.past + batch.length);
    std::optional<RelativeBias>& relative = stacks[stack_number(index)].relative;
    if (relative) relative->prepare(batch.past + batch.length);
    return {batch, rope ? &*rope : nullptr, spans, cache, relative ? &*relative : nullptr};
  }
};

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
  impl->load_ends(*open.parts().back());
  for (std::int64_t i = first_layer; i < last; ++i) {
    const std::size_t number = impl->stack_number(i);
    impl->load_layer(*open.parts()[number], impl->stacks[number], i);
  }
  return Model(std::move(impl));
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
std::int64_t Model::vocab_size() const { return impl_->embedding->vocab_size(); }
const std::vector<ParameterSlot>& Model::parameter_layout() const {
  return impl_->stacks[impl_->own].layout;
}
std::int64_t Model::layer_elements() const { return impl_->stacks[impl_->own].layer_elements; }

std::int64_t Model::row_multiplications(std::int64_t index, std::int64_t length,
                                        std::int64_t source) const {
  return impl_->stack_of(index).row_multiplications(length, source);
}

void Model::bind_layer(std::int64_t index, LayerStorage storage) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  Impl::Slot& slot = impl_->own_slot(index);
  check(storage.working.numel() == layer_elements() &&
            storage.working.scalar_type() == impl_->working() &&
            storage.gradient.numel() == layer_elements() &&
            storage.gradient.scalar_type() == at::kFloat,
        "bind_layer got storage of another size or type");
  storage.working.copy_(slot.flat);
  slot.flat = storage.working;
  slot.gradient = storage.gradient;
  impl_->remake_layer(index);
}

void Model::adapt_layer(std::int64_t index, std::vector<AdapterParameters> adapters) {
  impl_->own_slot(index).adapters = std::move(adapters);
  impl_->remake_layer(index);
}

void Model::set_virtual_tokens(std::int64_t count, const Parameter& prompt) {
  check(impl_->stacks.size() == 1, "virtual tokens are for a model of one stack");
  impl_->virtual_tokens.emplace(count);
  impl_->embedding->set_virtual_tokens(count, prompt);
}

std::int64_t Model::virtual_tokens() const {
  return impl_->virtual_tokens ? impl_->virtual_tokens->count() : 0;
}

void Model::leave_out_virtual_tokens(bool left_out) { impl_->virtual_left_out = left_out; }

void Model::prefix_layer(std::int64_t index, const Parameter& keys_and_values) {
  impl_->own_slot(index).prefix = keys_and_values;
  impl_->remake_layer(index);
}

at::Tensor Model::layer_parameters(std::int64_t index) const {
  return impl_->slot(index).flat.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
}

void Model::set_layer_parameters(std::int64_t index, const at::Tensor& flat_fp32) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  check(flat_fp32.numel() == layer_elements(), "a layer's parameters have another size");
  impl_->own_slot(index).flat.copy_(flat_fp32);
}

bool Model::ends_train() const { return impl_->ends_bound; }

std::vector<ParameterSlot> Model::end_layout() const {
  std::vector<ParameterSlot> layout;
  std::int64_t offset = 0;
  const auto values = impl_->end_values();
  for (std::size_t i = 0; i < values.size(); ++i) {
    layout.push_back({impl_->end_names[i], values[i].sizes().vec(), offset, values[i].numel(),
                      values[i].dim() == 2});
    offset += values[i].numel();
  }
  return layout;
}

at::Tensor Model::end_parameters() const {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  std::vector<at::Tensor> flat;
  for (const at::Tensor& values : impl_->end_values()) flat.push_back(values.flatten());
  return at::cat(flat).to(at::kFloat);
}

void Model::bind_ends(const LayerStorage& storage) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  storage.working.copy_(end_parameters());
  std::vector<Parameter> bound;
  for (const ParameterSlot& slot : end_layout()) {
    const auto view = [&](const at::Tensor& flat) {
      return flat.narrow(0, slot.offset, slot.elements).view(slot.shape);
    };
    bound.push_back({view(storage.working), view(storage.gradient)});
  }
  impl_->bind_ends(bound);
}

at::Tensor Model::embed(const Batch& batch) const {
  return impl_->embedding->forward(impl_->running(batch));
}

bool Model::embedding_trains() const { return impl_->embedding->trains(); }

void Model::backward_embed(const at::Tensor& dx, const Batch& batch) {
  impl_->embedding->backward(dx, impl_->running(batch));
}

at::Tensor Model::forward_layer(std::int64_t index, const at::Tensor& x, const Batch& batch,
                                LayerTapePtr* tape) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  const Pass pass = impl_->pass(index, impl_->running(batch));
  at::Tensor y = impl_->slot(index).layer->forward(x, pass, tape);
  VirtualTokens* dropped = impl_->dropped_after(index);
  return dropped != nullptr ? dropped->own_rows(y, batch) : y;
}

at::Tensor Model::backward_layer(std::int64_t index, const at::Tensor& dy, LayerTapePtr tape,
                                 const Batch& batch, bool need_input_gradient) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  check(tape != nullptr, "backward_layer needs the tape of a forward pass");
  const Pass pass = impl_->pass(index, impl_->running(batch));
  VirtualTokens* dropped = impl_->dropped_after(index);
  return impl_->slot(index).layer->backward(dropped != nullptr ? dropped->spread(dy, batch) : dy,
                                            *tape, pass, need_input_gradient);
}

bool Model::has_head() const { return impl_->head.has_value(); }

void Model::read_source(const std::vector<std::int64_t>& ids, DecodeCache& cache) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  check(impl_->stacks.size() > 1, "a model without an encoder has no source");
  check(!ids.empty() && cache.length() == 0, "a source is read first, and is not empty");
  Batch batch = one_sequence(ids);
  batch.source = batch.length;
  at::Tensor x = embed(batch);
  for (std::int64_t i = 0; i < impl_->stacks.back().first; ++i) {
    x = impl_->slot(i).layer->forward(x, impl_->pass(i, batch), nullptr);
  }
  cache.source_ = x;
}

at::Tensor Model::decode(const std::vector<std::int64_t>& ids, DecodeCache& cache) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  check(!ids.empty(), "nothing to decode");
  check(impl_->active_virtual_tokens() == nullptr, "virtual tokens are not decoded");
  check((impl_->stacks.size() > 1) == cache.source_.defined(), "an encoder's text is not read yet");
  cache.ids_.insert(cache.ids_.end(), ids.begin(), ids.end());
  cache.layers_.resize(static_cast<std::size_t>(layer_count()));
  const auto total = static_cast<std::int64_t>(cache.ids_.size());
  const auto fresh = static_cast<std::int64_t>(ids.size());
  // Where every position turns anew, nothing that was kept is of use.
  const bool anew = impl_->rope && impl_->rope->depends_on(total);
  const std::int64_t past = anew ? 0 : total - fresh;
  Batch batch = one_sequence(std::span(cache.ids_).subspan(static_cast<std::size_t>(past)));
  batch.past = past;
  at::Tensor x = embed(batch);
  if (cache.source_.defined()) {
    batch.source = cache.source_.size(0);
    batch.length += batch.source;
    batch.ids = at::cat({at::zeros({batch.source}, at::kLong), batch.ids});  // the layers ask none
    x = join_parts(cache.source_, x, batch);
  }
  for (std::int64_t i = impl_->stacks.back().first; i < layer_count(); ++i) {
    const Pass pass = impl_->pass(i, batch, &cache.layers_[static_cast<std::size_t>(i)]);
    x = impl_->slot(i).layer->forward(x, pass, nullptr);
  }
  return x.narrow(0, batch.length - fresh, fresh);
}

LossSum Model::head_loss(const at::Tensor& x, const Batch& batch, double scale, at::Tensor* dx,
                         at::Tensor* per_token) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  return impl_->required_head().loss(x, batch.targets, scale, dx, per_token);
}

std::int64_t Model::head_chunk() const { return impl_->options.head_chunk; }

LossSum Model::uniform_loss(const at::Tensor& targets, at::Tensor* per_token) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  const at::Tensor x = at::zeros({targets.numel(), hidden_size()},
                                 at::TensorOptions().dtype(at::kFloat).device(device()));
  return impl_->required_head().unshifted().loss(x, targets, 1.0, nullptr, per_token);
}

at::Tensor Model::logits(const at::Tensor& x, const std::vector<std::int64_t>& positions) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  return impl_->required_head().logits(x, positions);
}

}  // namespace organ::train
