// SPDX-License-Identifier: Apache-2.0
#include "train/weights/adaptation.h"

#include <ATen/ops/mul.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/threshold_backward.h>

#include "format/base/fail.h"
#include "train/kernels/elementwise.h"
#include "train/kernels/product.h"
#include "train/weights/projection.h"

namespace organ::train {
namespace {

// gradient += scale * left^T right. In bf16 the product is rounded; the sum stays fp32.
void add_outer(const Parameter& parameter, const at::Tensor& left, const at::Tensor& right,
               double scale = 1) {
  if (!parameter.gradient.defined()) return;
  at::Tensor gradient = parameter.gradient;
  gradient.add_(kernels::product(left.t(), right), scale);
}

void add_rows(const Parameter& parameter, const at::Tensor& rows) {
  if (parameter.gradient.defined()) kernels::accumulate_rows(rows, parameter.gradient);
}

// Of one expert the numbers of B lie apart.
at::Tensor matrix(const Parameter& parameter) { return parameter.value.contiguous(); }

// y += scale * (x A^T) B^T for each part (arXiv 2106.09685).
class Lora : public Adaptation {
 public:
  explicit Lora(std::vector<AdaptedPart> parts) : parts_(std::move(parts)) {}

  at::Tensor forward(const Projection& base, const at::Tensor& x) const override {
    at::Tensor y = base.product(x);
    for (const auto& [column, part] : parts_) {
      const at::Tensor inner = kernels::product(x, part.lora_a.value.t());
      y.narrow(1, column, part.projection.out)
          .add_(kernels::product(inner, matrix(part.lora_b).t()), part.projection.scale);
    }
    return y;
  }

  at::Tensor backward(const Projection& base, const at::Tensor& dy,
                      const MakeInput& input) const override {
    at::Tensor dx = base.product_backward(dy, input);
    const at::Tensor x = input();
    for (const auto& [column, part] : parts_) {
      const double scale = part.projection.scale;
      const at::Tensor dpart = dy.narrow(1, column, part.projection.out).contiguous();
      add_outer(part.lora_b, dpart, kernels::product(x, part.lora_a.value.t()), scale);
      const at::Tensor dinner = kernels::product(dpart, matrix(part.lora_b));
      add_outer(part.lora_a, dinner, x, scale);
      dx.add_(kernels::product(dinner, part.lora_a.value), scale);
    }
    return dx;
  }

 private:
  std::vector<AdaptedPart> parts_;
};

// y = l * (W x + b) for some columns (arXiv 2205.05638).
class OutputScale : public Adaptation {
 public:
  explicit OutputScale(std::vector<AdaptedPart> parts) : parts_(std::move(parts)) {}

  at::Tensor forward(const Projection& base, const at::Tensor& x) const override {
    at::Tensor y = base.product(x);
    for (const auto& part : parts_) columns(y, part).mul_(part.parameters.ia3.value);
    return y;
  }

  at::Tensor backward(const Projection& base, const at::Tensor& dy,
                      const MakeInput& input) const override {
    const at::Tensor y = base.product(input()), dproduct = dy.clone();
    for (const auto& part : parts_) {
      const Parameter& factors = part.parameters.ia3;
      if (factors.gradient.defined()) {
        kernels::accumulate_products(columns(dy, part).contiguous(), columns(y, part).contiguous(),
                                     factors.gradient);
      }
      columns(dproduct, part).mul_(factors.value);
    }
    return base.product_backward(dproduct, input);
  }

 private:
  static at::Tensor columns(const at::Tensor& y, const AdaptedPart& part) {
    return y.narrow(1, part.first_column, part.parameters.projection.out);
  }

  std::vector<AdaptedPart> parts_;
};

// y = W (l * x) + b.
class InputScale : public Adaptation {
 public:
  explicit InputScale(Parameter factors) : factors_(std::move(factors)) {}

  at::Tensor forward(const Projection& base, const at::Tensor& x) const override {
    return base.product(scaled(x));
  }

  at::Tensor backward(const Projection& base, const at::Tensor& dy,
                      const MakeInput& input) const override {
    const at::Tensor x = input();
    at::Tensor dx = base.product_backward(dy, [&] { return scaled(x); });
    if (factors_.gradient.defined()) kernels::accumulate_products(dx, x, factors_.gradient);
    return dx.mul_(factors_.value);
  }

 private:
  // The factors are fp32 in both precisions: bf16 has too few bits near one.
  at::Tensor scaled(const at::Tensor& x) const {
    return kernels::convert(at::mul(x, factors_.value), x.scalar_type());
  }

  Parameter factors_;
};

// y += up(relu(down(y))) behind the whole product (arXiv 1902.00751).
class Bottleneck : public Adaptation {
 public:
  explicit Bottleneck(AdapterParameters parameters) : p_(std::move(parameters)) {}

  at::Tensor forward(const Projection& base, const at::Tensor& x) const override {
    at::Tensor y = base.product(x);
    return y.add_(kernels::product(inner(y), p_.up.value.t(), p_.up_bias.value));
  }

  at::Tensor backward(const Projection& base, const at::Tensor& dy,
                      const MakeInput& input) const override {
    const at::Tensor y = base.product(input()), active = inner(y);
    add_outer(p_.up, dy, active);
    add_rows(p_.up_bias, dy);
    const at::Tensor dinner = at::threshold_backward(kernels::product(dy, p_.up.value), active, 0);
    add_outer(p_.down, dinner, y);
    add_rows(p_.down_bias, dinner);
    return base.product_backward(kernels::product(dinner, p_.down.value).add_(dy), input);
  }

 private:
  at::Tensor inner(const at::Tensor& y) const {
    return at::relu(kernels::product(y, p_.down.value.t(), p_.down_bias.value));
  }

  AdapterParameters p_;
};

}  // namespace

std::unique_ptr<Adaptation> make_adaptation(std::vector<AdaptedPart> parts, std::int64_t out) {
  const AdapterParameters& first = parts.front().parameters;
  const bool whole = parts.size() == 1 && first.projection.out == out;
  if (first.kind == AdapterKind::lora) return std::make_unique<Lora>(std::move(parts));
  if (first.kind == AdapterKind::bottleneck) {
    check(whole, "a bottleneck adapter stands behind a whole product");
    return std::make_unique<Bottleneck>(std::move(parts.front().parameters));
  }
  check(first.kind == AdapterKind::ia3, "an adapter that is no matter of projections");
  if (whole && first.projection.feed_forward) return std::make_unique<InputScale>(first.ia3);
  for (const auto& part : parts) {
    if (!part.parameters.projection.feed_forward) continue;
    fail(ErrorCode::incompatible,
         "module {}: IA3 as feedforward module is supported only for projections that have their "
         "input for themselves",
         quote(part.parameters.projection.name));
  }
  return std::make_unique<OutputScale>(std::move(parts));
}

}  // namespace organ::train
