// SPDX-License-Identifier: Apache-2.0
#include "train/kernels/experts.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include <ATen/ops/zeros.h>

#include "format/base/fail.h"
#include "train/kernels/dispatch.h"
#include "train/kernels/elementwise.h"
#include "train/kernels/internal/composed.h"

namespace organ::train::kernels {
namespace {

// The chosen experts of one token and their weights.
struct Choice {
  std::vector<std::int64_t> experts;
  std::vector<float> weights;
};

Choice choose(const float* logits, std::int64_t experts, std::int64_t per_token) {
  Choice choice;
  choice.experts.resize(static_cast<std::size_t>(experts));
  std::iota(choice.experts.begin(), choice.experts.end(), 0);
  const auto better = [&](std::int64_t a, std::int64_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  };
  std::partial_sort(choice.experts.begin(), choice.experts.begin() + per_token,
                    choice.experts.end(), better);
  choice.experts.resize(static_cast<std::size_t>(per_token));
  float sum = 0;
  for (const std::int64_t expert : choice.experts) {
    choice.weights.push_back(std::exp(logits[expert] - logits[choice.experts.front()]));
    sum += choice.weights.back();
  }
  for (float& weight : choice.weights) weight /= sum;
  return choice;
}

}  // namespace

std::span<const std::int32_t> Routing::tokens_of(std::int64_t expert) const {
  return std::span(token).subspan(static_cast<std::size_t>(first[expert]),
                                  static_cast<std::size_t>(count(expert)));
}

std::span<const float> Routing::weights_of(std::int64_t expert) const {
  return std::span(weight).subspan(static_cast<std::size_t>(first[expert]),
                                   static_cast<std::size_t>(count(expert)));
}

Routing route(const at::Tensor& logits, std::int64_t per_token) {
  const std::int64_t n = logits.size(0), experts = logits.size(1);
  check(per_token > 0 && per_token <= experts, "more experts per token than there are");
  const at::Tensor scores = convert(logits.cpu(), at::kFloat);
  std::vector<Choice> choices;
  Routing routing{
      n, experts, std::vector<std::int64_t>(static_cast<std::size_t>(experts) + 1), {}, {}};
  for (std::int64_t i = 0; i < n; ++i) {
    choices.push_back(choose(floats(scores) + i * experts, experts, per_token));
    for (const std::int64_t expert : choices.back().experts) ++routing.first[expert + 1];
  }
  std::partial_sum(routing.first.begin(), routing.first.end(), routing.first.begin());
  routing.token.resize(static_cast<std::size_t>(n * per_token));
  routing.weight.resize(routing.token.size());
  std::vector<std::int64_t> next = routing.first;
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < choices[i].experts.size(); ++k) {
      const std::int64_t place = next[choices[i].experts[k]]++;
      routing.token[place] = static_cast<std::int32_t>(i);
      routing.weight[place] = choices[i].weights[k];
    }
  }
  return routing;
}

at::Tensor route_backward(const Routing& routing, std::span<const float> dweight,
                          at::ScalarType type) {
  std::vector<float> dot(static_cast<std::size_t>(routing.tokens));
  for (std::size_t i = 0; i < routing.token.size(); ++i) {
    dot[routing.token[i]] += routing.weight[i] * dweight[i];
  }
  at::Tensor dlogits = at::zeros({routing.tokens, routing.experts}, at::kFloat);
  for (std::int64_t expert = 0; expert < routing.experts; ++expert) {
    for (std::int64_t i = routing.first[expert]; i < routing.first[expert + 1]; ++i) {
      floats(dlogits)[routing.token[i] * routing.experts + expert] =
          routing.weight[i] * (dweight[i] - dot[routing.token[i]]);
    }
  }
  return convert(dlogits, type);
}

at::Tensor gather_rows(const at::Tensor& x, std::span<const std::int32_t> rows) {
  if (!x.is_cpu()) return composed::gather_rows(x, rows);
  const std::int64_t d = x.size(1);
  at::Tensor out = empty({static_cast<std::int64_t>(rows.size()), d}, x.scalar_type());
  with_type(x.scalar_type(), [&]<typename T>(T) {
    const T* in = pointer<T>(x);
    T* to = pointer<T>(out);
    for_each_row(out.size(0), d, [&](std::int64_t i) {
      std::memcpy(to + i * d, in + rows[i] * d, static_cast<std::size_t>(d) * sizeof(T));
    });
  });
  return out;
}

void scatter_add_rows(at::Tensor& sum, std::span<const std::int32_t> rows, const at::Tensor& x,
                      std::span<const float> weights) {
  if (!x.is_cpu()) return composed::scatter_add_rows(sum, rows, x, weights);
  const std::int64_t d = x.size(1);
  float* to = floats(sum);
  with_type(x.scalar_type(), [&]<typename T>(T) {
    const T* in = pointer<T>(x);
    for_each_row(x.size(0), d, [&](std::int64_t i) {
      accumulate_scaled_row(in + i * d, weights.empty() ? 1.0f : weights[i], to + rows[i] * d, d);
    });
  });
}

void scale_rows(at::Tensor& x, std::span<const float> weights) {
  if (!x.is_cpu()) return composed::scale_rows(x, weights);
  const std::int64_t d = x.size(1);
  with_type(x.scalar_type(), [&]<typename T>(T) {
    T* data = pointer<T>(x);
    for_each_row(x.size(0), d,
                 [&](std::int64_t i) { scale_row(data + i * d, weights[i], data + i * d, d); });
  });
}

void add_row_dots(const at::Tensor& a, const at::Tensor& b, std::span<float> dots) {
  if (!a.is_cpu()) return composed::add_row_dots(a, b, dots);
  const std::int64_t d = a.size(1);
  with_type(a.scalar_type(), [&]<typename T>(T) {
    const T* left = pointer<T>(a);
    const auto add_dots = [&](const auto* right, std::int64_t stride) {
      for_each_row(a.size(0), d, [&](std::int64_t i) {
        dots[i] += dot_row(left + i * d, right + i * stride, d);
      });
    };
    if (b.dim() == 1) {
      add_dots(floats(b), 0);
    } else {
      add_dots(pointer<T>(b), d);
    }
  });
}

at::Tensor clamped_swiglu(const at::Tensor& gate_up, ClampedSwiglu form) {
  if (!gate_up.is_cpu()) return composed::clamped_swiglu(gate_up, form);
  const std::int64_t n = gate_up.size(0), f = gate_up.size(1) / 2;
  at::Tensor out = empty({n, f}, gate_up.scalar_type());
  with_type(gate_up.scalar_type(), [&]<typename T>(T) {
    const T* in = pointer<T>(gate_up);
    T* to = pointer<T>(out);
    for_each_row(n, f, [&](std::int64_t i) {
      clamped_swiglu_row(in + 2 * i * f, static_cast<float>(form.limit),
                         static_cast<float>(form.alpha), to + i * f, f);
    });
  });
  return out;
}

void clamped_swiglu_backward(at::Tensor& gate_up, const at::Tensor& dout, ClampedSwiglu form) {
  if (!gate_up.is_cpu()) return composed::clamped_swiglu_backward(gate_up, dout, form);
  const std::int64_t n = gate_up.size(0), f = gate_up.size(1) / 2;
  with_type(gate_up.scalar_type(), [&]<typename T>(T) {
    T* data = pointer<T>(gate_up);
    const T* gradient = pointer<T>(dout);
    for_each_row(n, f, [&](std::int64_t i) {
      clamped_swiglu_backward_row(data + 2 * i * f, static_cast<float>(form.limit),
                                  static_cast<float>(form.alpha), gradient + i * f, f);
    });
  });
}

}  // namespace organ::train::kernels
