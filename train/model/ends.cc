// SPDX-License-Identifier: Apache-2.0
#include "train/model/internal/ends.h"

#include "format/base/fail.h"
#include "train/model/internal/stack.h"
#include "train/weights/stored_weights.h"

namespace organ::train {

at::Tensor TensorReader::read(const std::string& name, at::IntArrayRef shape) const {
  return read_tensor(checkpoint, name, shape, type, device);
}

Normalization TensorReader::norm(const std::string& name, const Geometry& geometry) const {
  const at::IntArrayRef shape(geometry.hidden_size);
  const at::Tensor gamma = read(name + ".weight", shape);
  const bool shifted = geometry.norm == NormKind::layer;
  const at::Tensor beta = shifted ? read(name + ".bias", shape) : at::Tensor();
  return {geometry.norm, geometry.norm_epsilon, {gamma, {}}, {beta, {}}};
}

std::string final_norm(const format::Checkpoint& checkpoint) {
  std::string norm = checkpoint.full_name(checkpoint.architecture().layout().final_norm);
  norm.resize(norm.rfind(".weight"));
  return norm;
}

ModelEnds::ModelEnds(const TensorReader& reader, const Geometry& geometry, std::int64_t head_chunk)
    : architecture_(reader.checkpoint.architecture()), tied_(reader.checkpoint.tied_head()) {
  const format::Checkpoint& checkpoint = reader.checkpoint;
  const format::FamilyLayout& outer = architecture_.layout();
  const auto vocabulary = static_cast<std::int64_t>(architecture_.vocab_size());
  const std::int64_t d = geometry.hidden_size;
  const at::Tensor tokens = reader.read(checkpoint.full_name(outer.embedding), {vocabulary, d});
  load_embedding(reader, geometry, tokens);
  const auto projection = [&] {
    return tied_ ? tokens : reader.read(std::string(outer.head), {vocabulary, d});
  };
  if (!outer.head_transform.empty()) {
    load_masked_head(reader, geometry, head_chunk, projection);
    return;
  }
  head_.emplace(reader.norm(final_norm(checkpoint), geometry), projection(), head_chunk,
                at::Tensor(), std::nullopt, head_input_scale(checkpoint));
  if (architecture_.stack().empty()) name_ends(checkpoint);
}

void ModelEnds::load_embedding(const TensorReader& reader, const Geometry& geometry,
                               at::Tensor tokens) {
  const format::Checkpoint& checkpoint = reader.checkpoint;
  const format::FamilyLayout& outer = architecture_.layout();
  const std::int64_t d = geometry.hidden_size;
  at::Tensor positions, common;
  std::optional<Normalization> norm;
  if (geometry.learned_positions) {
    positions = reader.read(checkpoint.full_name(outer.position_embedding),
                            {static_cast<std::int64_t>(architecture_.max_positions()), d});
  }
  if (!outer.token_types.empty()) {
    const std::string name = checkpoint.full_name(outer.token_types);
    const auto& shape = checkpoint.locate(name).tensor->shape;
    const auto types = static_cast<std::int64_t>(shape.empty() ? 0 : shape[0]);
    if (types == 0) fail(ErrorCode::corrupt, "tensor {}: is empty", quote(name));
    common = reader.read(name, {types, d})[0];
  }
  if (!outer.embedding_norm.empty()) {
    norm = reader.norm(checkpoint.full_name(outer.embedding_norm), geometry);
  }
  embedding_.emplace(std::move(tokens), positions, common, std::move(norm));
}

// A folder of a masked model may come without its head.
void ModelEnds::load_masked_head(const TensorReader& reader, const Geometry& geometry,
                                 std::int64_t head_chunk,
                                 const std::function<at::Tensor()>& projection) {
  const format::Checkpoint& checkpoint = reader.checkpoint;
  const format::FamilyLayout& outer = architecture_.layout();
  const std::string dense = std::string(outer.head_transform) + ".dense";
  if (!checkpoint.find(dense + ".weight")) return;
  const std::int64_t d = geometry.hidden_size;
  const auto vocabulary = static_cast<std::int64_t>(architecture_.vocab_size());
  // Tied, the decoder has the head's bias; else its own.
  std::string bias(outer.head);
  bias.replace(bias.rfind("weight"), std::string::npos, "bias");
  if (tied_ || !checkpoint.find(bias)) bias = outer.head_bias;
  HeadTransform transform{
      Projection({reader.read(dense + ".weight", {d, d}), {}},
                 {reader.read(dense + ".bias", {d}), {}}, Orientation::out_in, nullptr),
      geometry.activation};
  head_.emplace(reader.norm(std::string(outer.head_transform) + ".LayerNorm", geometry),
                projection(), head_chunk, reader.read(bias, {vocabulary}), std::move(transform));
}

void ModelEnds::name_ends(const format::Checkpoint& checkpoint) {
  const format::FamilyLayout& outer = architecture_.layout();
  names_ = {checkpoint.full_name(outer.embedding)};
  if (embedding_->positions().defined()) {
    names_.push_back(checkpoint.full_name(outer.position_embedding));
  }
  names_.push_back(final_norm(checkpoint) + ".weight");
  if (head_->norm().beta().value.defined()) names_.push_back(final_norm(checkpoint) + ".bias");
  if (!tied_) names_.emplace_back(outer.head);
}

Head& ModelEnds::head() {
  if (head_) return *head_;
  fail(ErrorCode::incompatible, "the checkpoint has no {}: it cannot be trained or measured",
       quote(std::string(architecture_.layout().head_transform) + ".dense.weight"));
}

std::vector<at::Tensor> ModelEnds::values() const {
  if (names_.empty()) {
    fail(ErrorCode::incompatible,
         "model type {}: its embeddings and head do not train, those of causal models do",
         quote(architecture_.model_type()));
  }
  std::vector<at::Tensor> values = {embedding_->tokens()};
  if (embedding_->positions().defined()) values.push_back(embedding_->positions());
  values.push_back(head_->norm().gamma().value);
  if (head_->norm().beta().value.defined()) values.push_back(head_->norm().beta().value);
  if (!tied_) values.push_back(head_->projection());
  return values;
}

std::vector<ParameterSlot> ModelEnds::layout() const {
  std::vector<ParameterSlot> layout;
  std::int64_t offset = 0;
  const auto all = values();
  for (std::size_t i = 0; i < all.size(); ++i) {
    layout.push_back({names_[i], all[i].sizes().vec(), offset, all[i].numel(), all[i].dim() == 2});
    offset += all[i].numel();
  }
  return layout;
}

void ModelEnds::bind(const LayerStorage& storage) {
  const std::vector<at::Tensor> current = values();
  std::vector<Parameter> ends;
  for (const ParameterSlot& slot : layout()) {
    const auto view = [&](const at::Tensor& flat) {
      return flat.narrow(0, slot.offset, slot.elements).view(slot.shape);
    };
    ends.push_back({view(storage.working), view(storage.gradient)});
    ends.back().value.copy_(current[ends.size() - 1]);
  }
  std::size_t next = 0;
  const Parameter tokens = ends[next++];
  const Parameter positions = embedding_->positions().defined() ? ends[next++] : Parameter();
  const Parameter gamma = ends[next++];
  const Parameter beta = head_->norm().beta().value.defined() ? ends[next++] : Parameter();
  embedding_->bind(tokens, positions);
  head_->bind(gamma, beta, tied_ ? tokens : ends[next]);
  bound_ = true;
}

}  // namespace organ::train
