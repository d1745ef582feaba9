// SPDX-License-Identifier: Apache-2.0
#include "train/internal/layer.h"

#include <cmath>

#include "train/internal/linear.h"

namespace organ::train {
namespace {

// Attention probabilities of one layer above this many bytes are computed again in backward
// instead of kept: one more product in eight, for a memory that grows with the square of length.
constexpr std::int64_t kKeptProbabilityBytes = std::int64_t{32} << 20;

at::Tensor as_float(const at::Tensor& weight) { return kernels::convert(weight, at::kFloat); }

bool keep_probabilities(const kernels::HeadLayout& layout, std::int64_t element_size) {
  const std::int64_t scores = layout.groups() * layout.group * layout.length * layout.length;
  return scores * element_size <= kKeptProbabilityBytes;
}

// The ranges of query and key heads in a packed q|k|v row.
kernels::HeadRange query_heads(const Geometry& g) { return {0, g.heads, g.head_size}; }
kernels::HeadRange key_heads(const Geometry& g) {
  return {g.query_width(), g.kv_heads, g.head_size};
}

}  // namespace

double LlamaLayer::query_scale() const {
  return 1.0 / std::sqrt(static_cast<double>(geometry_.head_size));
}

at::Tensor LlamaLayer::attend(const at::Tensor& normed, const Pass& pass, LayerTape* tape) const {
  at::Tensor packed = linear(normed, weights_.qkv, weights_.qkv_bias);
  if (geometry_.qk_norm) {
    const double epsilon = geometry_.norm_epsilon;
    auto query =
        kernels::head_norm(packed, query_heads(geometry_), as_float(weights_.query_norm), epsilon);
    auto key =
        kernels::head_norm(packed, key_heads(geometry_), as_float(weights_.key_norm), epsilon);
    if (tape != nullptr) {
      tape->query_norm = std::move(query);
      tape->key_norm = std::move(key);
    }
  }
  kernels::Heads heads = kernels::split_heads(packed, pass.layout, pass.rope.cosine(),
                                              pass.rope.sine(), query_scale());
  const bool keep = tape != nullptr && keep_probabilities(pass.layout, heads.query.element_size());
  at::Tensor attended =
      attention(heads, pass.layout, pass.spans, keep ? &tape->attention.probabilities : nullptr);
  if (tape != nullptr) {
    tape->attention.heads = std::move(heads);
    if (gradient_ != nullptr) tape->attended = attended;
  }
  return attended;
}

at::Tensor LlamaLayer::forward(const at::Tensor& x, const Pass& pass, LayerTape* tape) const {
  const at::ScalarType working = weights_.qkv.scalar_type();
  const auto normalise = [&](const at::Tensor& in, const at::Tensor& gamma, kernels::Norm* kept) {
    kernels::Norm norm =
        kernels::rms_norm(in, as_float(gamma), geometry_.norm_epsilon, working, kept != nullptr);
    at::Tensor out = std::move(norm.out);
    if (kept != nullptr) *kept = std::move(norm);
    return out;
  };
  at::Tensor attended = attend(
      normalise(x, weights_.attention_norm, tape ? &tape->attention_norm : nullptr), pass, tape);
  const at::Tensor middle =
      kernels::add(x, linear(attended, weights_.output, weights_.output_bias));
  attended.reset();
  const at::Tensor gate_up =
      linear(normalise(middle, weights_.mlp_norm, tape ? &tape->mlp_norm : nullptr),
             weights_.gate_up, weights_.gate_up_bias);
  if (tape != nullptr) tape->gate_up = gate_up;
  return kernels::add(middle, linear(kernels::swiglu(gate_up), weights_.down, weights_.down_bias));
}

// Gradient with respect to the stream between attention and mlp.
at::Tensor LlamaLayer::mlp_backward(const at::Tensor& dy, LayerTape& tape) const {
  const at::Tensor dout = kernels::convert(dy, weights_.down.scalar_type());
  at::Tensor dgate_up = std::move(tape.gate_up);
  if (gradient_ != nullptr) {
    add_linear_gradient(dout, kernels::swiglu(dgate_up), gradient_->down, gradient_->down_bias);
  }
  kernels::swiglu_backward(dgate_up, linear_input_gradient(dout, weights_.down));
  const at::Tensor gamma = as_float(weights_.mlp_norm);
  const at::Tensor dnormed = linear_input_gradient(dgate_up, weights_.gate_up);
  if (gradient_ != nullptr) {
    add_linear_gradient(dgate_up, kernels::rms_norm_output(tape.mlp_norm.unit, gamma),
                        gradient_->gate_up, gradient_->gate_up_bias);
    kernels::accumulate_products(dnormed, tape.mlp_norm.unit, gradient_->mlp_norm);
  }
  return kernels::rms_norm_backward(dnormed, tape.mlp_norm, gamma, dy);
}

// From the heads' outputs back to the packed q|k|v rows.
at::Tensor LlamaLayer::packed_gradient(const at::Tensor& dattended, LayerTape& tape,
                                       const Pass& pass) const {
  const kernels::Heads dheads =
      attention_backward(dattended, tape.attention, pass.layout, pass.spans);
  tape.attention = {};
  at::Tensor dpacked = kernels::merge_head_gradients(dheads, pass.layout, pass.rope.cosine(),
                                                     pass.rope.sine(), query_scale());
  if (geometry_.qk_norm) {
    kernels::head_norm_backward(dpacked, query_heads(geometry_), tape.query_norm,
                                as_float(weights_.query_norm),
                                gradient_ ? gradient_->query_norm : at::Tensor());
    kernels::head_norm_backward(dpacked, key_heads(geometry_), tape.key_norm,
                                as_float(weights_.key_norm),
                                gradient_ ? gradient_->key_norm : at::Tensor());
  }
  return dpacked;
}

at::Tensor LlamaLayer::backward(const at::Tensor& dy, LayerTape& tape, const Pass& pass,
                                bool need_input_gradient) const {
  const at::Tensor dmiddle = mlp_backward(dy, tape);
  const at::Tensor dout = kernels::convert(dmiddle, weights_.output.scalar_type());
  if (gradient_ != nullptr) {
    add_linear_gradient(dout, tape.attended, gradient_->output, gradient_->output_bias);
  }
  const at::Tensor dpacked =
      packed_gradient(linear_input_gradient(dout, weights_.output), tape, pass);
  const at::Tensor dnormed = linear_input_gradient(dpacked, weights_.qkv);
  const at::Tensor gamma = as_float(weights_.attention_norm);
  if (gradient_ != nullptr) {
    const at::Tensor& unit = tape.attention_norm.unit;
    add_linear_gradient(dpacked, kernels::rms_norm_output(unit, gamma), gradient_->qkv,
                        gradient_->qkv_bias);
    kernels::accumulate_products(dnormed, unit, gradient_->attention_norm);
  }
  if (!need_input_gradient) return {};
  return kernels::rms_norm_backward(dnormed, tape.attention_norm, gamma, dmiddle);
}

}  // namespace organ::train
