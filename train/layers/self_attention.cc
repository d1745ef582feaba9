// SPDX-License-Identifier: Apache-2.0
#include "train/layers/internal/self_attention.h"

#include "train/layers/internal/key_value_prefix.h"

namespace organ::train {
namespace {

at::Tensor as_float(const Parameter& weight) { return kernels::convert(weight.value, at::kFloat); }

at::Tensor running_rows(const at::Tensor& table, const Batch& batch) {
  return table.narrow(0, batch.past, batch.length);
}

// The rotations of the positions that run; undefined where positions are no matter of the layers.
at::Tensor cosine(const Pass& pass) {
  return pass.rope ? running_rows(pass.rope->cosine(), pass.batch()) : at::Tensor();
}
at::Tensor sine(const Pass& pass) {
  return pass.rope ? running_rows(pass.rope->sine(), pass.batch()) : at::Tensor();
}

KeyValuePrefix prefix_at(const Parameter& prefix, const Pass& pass) {
  return {prefix, pass.batch(), cosine(pass), sine(pass)};
}

}  // namespace

SelfAttention::SelfAttention(const Geometry& g, const LayerAttention& own, const TensorNames& names,
                             const LayerParameters& parameters)
    : heads_(g.heads),
      kv_heads_(g.kv_heads),
      head_size_(g.head_size),
      window_(own.window),
      scale_(own.scale),
      sight_(g.sight),
      qkv_(parameters.projection(names.qkv, g.hidden_size, g.packed_width(), names.orientation)),
      output_(parameters.projection(names.attention_output, g.query_width(), g.hidden_size,
                                    names.orientation)),
      sinks_(g.sinks ? parameters.run(names.sinks, {g.heads}) : Parameter()),
      prefix_(parameters.prefix()),
      query_norm_(head_norm(parameters, names.query_norm, g)),
      key_norm_(head_norm(parameters, names.key_norm, g)) {}

std::optional<SelfAttention::PerHeadNorm> SelfAttention::head_norm(
    const LayerParameters& parameters, std::string_view name, const Geometry& g) const {
  if (!g.qk_norm) return std::nullopt;
  return PerHeadNorm{parameters.run(std::string(name) + ".weight", {g.head_size}), g.norm_epsilon};
}

kernels::HeadLayout SelfAttention::layout(const Batch& batch) const {
  return {batch.rows, batch.length, kv_heads_, heads_ / kv_heads_, head_size_, batch.past};
}

at::Tensor SelfAttention::forward(at::Tensor x, const Pass& pass, SelfAttentionTape* tape) const {
  at::Tensor packed = qkv_.forward(x);
  x.reset();
  const auto normalise = [&](const std::optional<PerHeadNorm>& norm, kernels::HeadRange range) {
    return norm ? kernels::head_norm(packed, range, as_float(norm->gamma), norm->epsilon)
                : kernels::HeadNorm();
  };
  kernels::HeadNorm query_norm = normalise(query_norm_, query_heads());
  kernels::HeadNorm key_norm = normalise(key_norm_, key_heads());
  const kernels::HeadLayout heads_layout = layout(pass.batch());
  AttentionTape attended_heads;
  attended_heads.heads =
      kernels::split_heads(packed, heads_layout, cosine(pass), sine(pass), scale_);
  if (const KeyValuePrefix prefix = prefix_at(prefix_, pass); !prefix.empty()) {
    prefix.put_into(attended_heads.heads);
  }
  if (pass.cache != nullptr) pass.cache->extend(attended_heads.heads, pass.batch().past);
  if (sinks_.value.defined()) attended_heads.sinks = as_float(sinks_);
  if (pass.relative != nullptr) attended_heads.position_bias = pass.relative->values();
  const bool keep = tape != nullptr && keep_probabilities(heads_layout, packed.element_size());
  packed.reset();
  at::Tensor attended =
      attention(attended_heads, heads_layout, pass.open.visible(sight_, window_), keep);
  if (tape != nullptr) {
    tape->query_norm = std::move(query_norm);
    tape->key_norm = std::move(key_norm);
    tape->attention = std::move(attended_heads);
    if (output_.needs_input()) tape->attended = attended;
  }
  return output_.forward(attended);
}

// From the heads' outputs back to the packed q|k|v rows.
at::Tensor SelfAttention::packed_gradient(const at::Tensor& dattended, SelfAttentionTape& tape,
                                          const Pass& pass) const {
  const kernels::HeadLayout heads_layout = layout(pass.batch());
  kernels::Heads dheads = attention_backward(dattended, tape.attention, heads_layout,
                                             pass.open.visible(sight_, window_), sinks_.gradient);
  tape.attention = {};
  if (const KeyValuePrefix prefix = prefix_at(prefix_, pass); !prefix.empty()) {
    prefix.take_gradient(dheads);
  }
  at::Tensor dpacked =
      kernels::merge_head_gradients(dheads, heads_layout, cosine(pass), sine(pass), scale_);
  const auto go_back = [&](const std::optional<PerHeadNorm>& norm, kernels::HeadRange range,
                           const kernels::HeadNorm& kept) {
    if (!norm) return;
    kernels::head_norm_backward(dpacked, range, kept, as_float(norm->gamma), norm->gamma.gradient);
  };
  go_back(query_norm_, query_heads(), tape.query_norm);
  go_back(key_norm_, key_heads(), tape.key_norm);
  return dpacked;
}

at::Tensor SelfAttention::backward(const at::Tensor& dout, SelfAttentionTape& tape,
                                   const Pass& pass, const MakeInput& input) const {
  const at::Tensor dattended = output_.backward(dout, [&] { return tape.attended; });
  return qkv_.backward(packed_gradient(dattended, tape, pass), input);
}

}  // namespace organ::train
