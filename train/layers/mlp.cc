// SPDX-License-Identifier: Apache-2.0
#include "train/layers/internal/mlp.h"

#include "train/kernels/elementwise.h"

namespace organ::train {
namespace {

// down(f(gate) * up), gate and up as one product.
class GatedMlp : public Mlp {
 public:
  GatedMlp(const Geometry& g, const TensorNames& names, const LayerParameters& parameters)
      : gate_up_(parameters.projection(names.mlp_in, g.hidden_size, 2 * g.intermediate_size,
                                       names.orientation)),
        down_(parameters.projection(names.mlp_out, g.intermediate_size, g.hidden_size,
                                    names.orientation)),
        activation_(g.activation) {}

  at::Tensor forward(at::Tensor x, std::unique_ptr<MlpTape>* tape) const override {
    const at::Tensor gate_up = gate_up_.forward(x);
    x.reset();
    if (tape != nullptr) *tape = std::make_unique<Tape>(gate_up);
    return down_.forward(kernels::gated(activation_, gate_up));
  }

  at::Tensor backward(const at::Tensor& dout, MlpTape& tape,
                      const MakeInput& input) const override {
    at::Tensor dgate_up = std::move(static_cast<Tape&>(tape).gate_up);
    const at::Tensor dactive =
        down_.backward(dout, [&] { return kernels::gated(activation_, dgate_up); });
    kernels::gated_backward(activation_, dgate_up, dactive);
    return gate_up_.backward(dgate_up, input);
  }

 private:
  struct Tape : MlpTape {
    explicit Tape(at::Tensor kept) : gate_up(std::move(kept)) {}
    at::Tensor gate_up;
  };
  Projection gate_up_, down_;
  kernels::Activation activation_;
};

// out(f(in(x)))
class PlainMlp : public Mlp {
 public:
  PlainMlp(const Geometry& g, const TensorNames& names, const LayerParameters& parameters)
      : in_(parameters.projection(names.mlp_in, g.hidden_size, g.intermediate_size,
                                  names.orientation)),
        out_(parameters.projection(names.mlp_out, g.intermediate_size, g.hidden_size,
                                   names.orientation)),
        activation_(g.activation) {}

  at::Tensor forward(at::Tensor x, std::unique_ptr<MlpTape>* tape) const override {
    const at::Tensor inner = in_.forward(x);
    x.reset();
    if (tape != nullptr) *tape = std::make_unique<Tape>(inner);
    return out_.forward(kernels::activate(activation_, inner));
  }

  at::Tensor backward(const at::Tensor& dout, MlpTape& tape,
                      const MakeInput& input) const override {
    at::Tensor dinner = std::move(static_cast<Tape&>(tape).inner);
    const at::Tensor dactive =
        out_.backward(dout, [&] { return kernels::activate(activation_, dinner); });
    kernels::activate_backward(activation_, dinner, dactive);
    return in_.backward(dinner, input);
  }

 private:
  struct Tape : MlpTape {
    explicit Tape(at::Tensor kept) : inner(std::move(kept)) {}
    at::Tensor inner;
  };
  Projection in_, out_;
  kernels::Activation activation_;
};

}  // namespace

std::unique_ptr<Mlp> make_mlp(const Geometry& geometry, const TensorNames& names,
                              const LayerParameters& parameters) {
  if (geometry.mlp == MlpKind::experts) return make_experts(geometry, names, parameters);
  if (geometry.mlp == MlpKind::plain) {
    return std::make_unique<PlainMlp>(geometry, names, parameters);
  }
  return std::make_unique<GatedMlp>(geometry, names, parameters);
}

}  // namespace organ::train
