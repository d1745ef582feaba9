// SPDX-License-Identifier: Apache-2.0
// A mixture of experts as gpt-oss has it: a router sends each token to a few MLPs and adds up
// what they answer. Tokens are gathered per expert, so that every matrix is multiplied once.
#include "train/layers/internal/mlp.h"

#include <ATen/ops/zeros.h>

#include "train/kernels/elementwise.h"
#include "train/kernels/experts.h"

namespace organ::train {
namespace {

struct ExpertsTape : MlpTape {
  kernels::Routing routing;
  std::vector<at::Tensor> gate_up;  // per expert; undefined where no token went
};

// One expert's slice of a parameter that holds those of all.
Parameter slice(const Parameter& all, std::int64_t expert) {
  const auto of = [&](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.select(0, expert) : tensor;
  };
  return {of(all.value), of(all.gradient)};
}

class Experts : public Mlp {
 public:
  Experts(const Geometry& g, const TensorNames& names, const LayerParameters& parameters)
      : router_(parameters.projection(names.router, g.hidden_size, g.experts, Orientation::out_in)),
        per_token_(g.experts_per_token),
        form_(g.swiglu) {
    const std::int64_t d = g.hidden_size, f = g.intermediate_size, count = g.experts;
    const auto find = [&](std::string_view name, at::IntArrayRef shape) {
      return parameters.run(name, shape);
    };
    const std::string in(names.mlp_in), out(names.mlp_out);
    const Parameter gate_up = find(in, {count, d, 2 * f}), down = find(out, {count, f, d});
    const Parameter gate_up_bias = find(in + "_bias", {count, 2 * f});
    const Parameter down_bias = find(out + "_bias", {count, d});
    for (std::int64_t e = 0; e < count; ++e) {
      gate_up_.emplace_back(slice(gate_up, e), slice(gate_up_bias, e), Orientation::in_out,
                            parameters.expert_adaptation(in, e));
      down_.emplace_back(slice(down, e), slice(down_bias, e), Orientation::in_out,
                         parameters.expert_adaptation(out, e));
    }
  }

  at::Tensor forward(at::Tensor x, std::unique_ptr<MlpTape>* out) const override {
    auto tape = std::make_unique<ExpertsTape>();
    tape->routing = kernels::route(router_.forward(x), per_token_);
    const kernels::Routing& routing = tape->routing;
    at::Tensor y = at::zeros(x.sizes(), x.options().dtype(at::kFloat));
    tape->gate_up.resize(down_.size());
    for (std::size_t e = 0; e < down_.size(); ++e) {
      const auto expert = static_cast<std::int64_t>(e);
      if (routing.count(expert) == 0) continue;
      const auto tokens = routing.tokens_of(expert);
      const at::Tensor gate_up = gate_up_[e].forward(kernels::gather_rows(x, tokens));
      if (out != nullptr) tape->gate_up[e] = gate_up;
      kernels::scatter_add_rows(y, tokens,
                                down_[e].forward(kernels::clamped_swiglu(gate_up, form_)),
                                routing.weights_of(expert));
    }
    if (out != nullptr) *out = std::move(tape);
    return y;
  }

  at::Tensor backward(const at::Tensor& dout, MlpTape& kept,
                      const MakeInput& input) const override {
    auto& tape = static_cast<ExpertsTape&>(kept);
    const at::Tensor x = needs_input() ? input() : at::Tensor();
    at::Tensor dx = at::zeros(dout.sizes(), dout.options().dtype(at::kFloat));
    std::vector<float> dweight(tape.routing.token.size());
    for (std::size_t e = 0; e < down_.size(); ++e) {
      if (tape.gate_up[e].defined()) add_expert(e, dout, x, tape, dweight, dx);
    }
    const at::Tensor dlogits =
        kernels::route_backward(tape.routing, dweight, dout.scalar_type()).to(dout.device());
    if (router_.needs_input()) router_.add_gradient(dlogits, x);
    return kernels::convert(kernels::add(dx, router_.input_gradient(dlogits)), dout.scalar_type());
  }

 private:
  // Of the layer's input.
  bool needs_input() const { return router_.needs_input() || gate_up_.front().needs_input(); }

  // What the tokens of one expert add to the gradients of x and of their weights.
  void add_expert(std::size_t e, const at::Tensor& dout, const at::Tensor& x, ExpertsTape& tape,
                  std::span<float> dweight, at::Tensor& dx) const {
    const auto expert = static_cast<std::int64_t>(e);
    const auto tokens = tape.routing.tokens_of(expert);
    const auto weights = tape.routing.weights_of(expert);
    at::Tensor dgate_up = std::move(tape.gate_up[e]);
    const at::Tensor inner = kernels::clamped_swiglu(dgate_up, form_);
    const auto dots =
        dweight.subspan(static_cast<std::size_t>(tape.routing.first[e]), tokens.size());
    at::Tensor danswer = kernels::gather_rows(dout, tokens);
    const at::Tensor dinner = down_[e].adapted()
                                  ? adapted_inner_gradient(e, danswer, inner, weights, dots)
                                  : inner_gradient(e, danswer, inner, weights, dots);
    kernels::clamped_swiglu_backward(dgate_up, dinner, form_);
    const auto rows = [&] { return kernels::gather_rows(x, tokens); };
    kernels::scatter_add_rows(dx, tokens, gate_up_[e].backward(dgate_up, rows), {});
  }

  // The gradient of an expert's inner rows; adds dout . answer to `dots`, and the gradient of its
  // second matrix. danswer is scaled by the weights.
  at::Tensor inner_gradient(std::size_t e, at::Tensor& danswer, const at::Tensor& inner,
                            std::span<const float> weights, std::span<float> dots) const {
    at::Tensor dinner = down_[e].input_gradient(danswer);
    // dout . answer without computing the answer again: the map back is the map's adjoint.
    kernels::add_row_dots(dinner, inner, dots);
    if (down_[e].bias().defined()) {
      kernels::add_row_dots(danswer, kernels::convert(down_[e].bias(), at::kFloat), dots);
    }
    if (down_[e].needs_input()) {
      kernels::scale_rows(danswer, weights);
      down_[e].add_gradient(danswer, inner);
    }
    kernels::scale_rows(dinner, weights);
    return dinner;
  }

  // The same where an adapter's gradient needs the scaled rows at once.
  at::Tensor adapted_inner_gradient(std::size_t e, at::Tensor& danswer, const at::Tensor& inner,
                                    std::span<const float> weights, std::span<float> dots) const {
    kernels::add_row_dots(danswer, down_[e].forward(inner), dots);
    kernels::scale_rows(danswer, weights);
    return down_[e].backward(danswer, [&] { return inner; });
  }

  Projection router_;
  std::vector<Projection> gate_up_, down_;  // per expert
  std::int64_t per_token_;
  kernels::ClampedSwiglu form_;
};

}  // namespace

std::unique_ptr<Mlp> make_experts(const Geometry& geometry, const TensorNames& names,
                                  const LayerParameters& parameters) {
  return std::make_unique<Experts>(geometry, names, parameters);
}

}  // namespace organ::train
