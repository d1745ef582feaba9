// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include "train/kernels/dispatch.h"
#include "train/kernels/elementwise.h"
#include "train/kernels/internal/composed.h"

namespace organ::train::kernels {
namespace {

// Sums over rows run in this many parts, whatever the number of threads.
constexpr std::int64_t kSumParts = 16;

// add_row(i, part_sum) for every row; then the parts are added to `sum` in order.
template <typename AddRow>
void sum_rows(std::int64_t rows, const at::Tensor& sum, AddRow add_row) {
  const std::int64_t width = sum.numel();
  std::vector<float> parts(static_cast<std::size_t>(kSumParts * width), 0.0f);
  at::parallel_for(0, kSumParts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = begin; part < end; ++part) {
      const std::int64_t last = rows * (part + 1) / kSumParts;
      for (std::int64_t i = rows * part / kSumParts; i < last; ++i) {
        add_row(i, parts.data() + part * width);
      }
    }
  });
  for (std::int64_t part = 0; part < kSumParts; ++part) {
    accumulate_row(parts.data() + part * width, floats(sum), width);
  }
}

// rstd = row_norm(x, unit, out) for every row.
template <typename RowNorm>
Norm norm_forward(const at::Tensor& x, at::ScalarType working, bool keep_unit, RowNorm row_norm) {
  const std::int64_t n = x.size(0), d = x.size(1);
  Norm norm{empty({n, d}, working), keep_unit ? empty({n, d}, working) : at::Tensor(),
            empty({n}, at::kFloat)};
  with_type(working, [&]<typename T>(T) {
    const float* in = floats(x);
    float* rstd = floats(norm.rstd);
    T* out = pointer<T>(norm.out);
    T* unit = keep_unit ? pointer<T>(norm.unit) : nullptr;
    for_each_row(n, d, [&](std::int64_t i) {
      rstd[i] = row_norm(in + i * d, unit ? unit + i * d : nullptr, out + i * d);
    });
  });
  return norm;
}

// row_backward(dout, unit, rstd, gamma, base, dx, d) for every row.
template <typename RowBackward>
at::Tensor norm_backward(const at::Tensor& dout, const Norm& norm, const at::Tensor& gamma,
                         const at::Tensor& base, RowBackward row_backward) {
  const std::int64_t n = dout.size(0), d = dout.size(1);
  at::Tensor dx = empty({n, d}, at::kFloat);
  with_type(dout.scalar_type(), [&]<typename T>(T) {
    const T* gradient = pointer<T>(dout);
    const T* unit = pointer<T>(norm.unit);
    const float* residual = base.defined() ? floats(base) : nullptr;
    const float *rstd = floats(norm.rstd), *weight = floats(gamma);
    float* out = floats(dx);
    for_each_row(n, d, [&](std::int64_t i) {
      row_backward(gradient + i * d, unit + i * d, rstd[i], weight,
                   residual ? residual + i * d : nullptr, out + i * d, d);
    });
  });
  return dx;
}

}  // namespace

Norm rms_norm(const at::Tensor& x, const at::Tensor& gamma, double epsilon, at::ScalarType working,
              bool keep_unit) {
  if (!x.is_cpu()) return composed::rms_norm(x, gamma, epsilon, working, keep_unit);
  return norm_forward(x, working, keep_unit, [&](const float* in, auto* unit, auto* out) {
    return rms_norm_row(in, floats(gamma), static_cast<float>(epsilon), unit, out, x.size(1));
  });
}

Norm late_rms_norm(const at::Tensor& x, const at::Tensor& gamma, double epsilon,
                   at::ScalarType working, bool keep_unit) {
  if (!x.is_cpu()) return composed::late_rms_norm(x, gamma, epsilon, working, keep_unit);
  return norm_forward(x, working, keep_unit, [&](const float* in, auto* unit, auto* out) {
    return late_rms_norm_row(in, floats(gamma), static_cast<float>(epsilon), unit, out, x.size(1));
  });
}

at::Tensor rms_norm_backward(const at::Tensor& dout, const Norm& norm, const at::Tensor& gamma,
                             const at::Tensor& base) {
  if (!dout.is_cpu()) return composed::rms_norm_backward(dout, norm, gamma, base);
  return norm_backward(dout, norm, gamma, base,
                       [](auto... arguments) { rms_norm_backward_row(arguments...); });
}

Norm layer_norm(const at::Tensor& x, const at::Tensor& gamma, const at::Tensor& beta,
                double epsilon, at::ScalarType working, bool keep_unit) {
  if (!x.is_cpu()) return composed::layer_norm(x, gamma, beta, epsilon, working, keep_unit);
  return norm_forward(x, working, keep_unit, [&](const float* in, auto* unit, auto* out) {
    return layer_norm_row(in, floats(gamma), floats(beta), static_cast<float>(epsilon), unit, out,
                          x.size(1));
  });
}

at::Tensor layer_norm_backward(const at::Tensor& dout, const Norm& norm, const at::Tensor& gamma,
                               const at::Tensor& base) {
  if (!dout.is_cpu()) return composed::layer_norm_backward(dout, norm, gamma, base);
  return norm_backward(dout, norm, gamma, base,
                       [](auto... arguments) { layer_norm_backward_row(arguments...); });
}

at::Tensor norm_output(const at::Tensor& unit, const at::Tensor& gamma, const at::Tensor& beta) {
  if (!unit.is_cpu()) return composed::norm_output(unit, gamma, beta);
  const std::int64_t n = unit.size(0), d = unit.size(1);
  at::Tensor out = empty({n, d}, unit.scalar_type());
  with_type(unit.scalar_type(), [&]<typename T>(T) {
    const T* in = pointer<T>(unit);
    const float* weight = floats(gamma);
    const float* shift = beta.defined() ? floats(beta) : nullptr;
    T* to = pointer<T>(out);
    for_each_row(n, d,
                 [&](std::int64_t i) { affine_row(in + i * d, weight, shift, to + i * d, d); });
  });
  return out;
}

HeadNorm head_norm(at::Tensor& packed, HeadRange range, const at::Tensor& gamma, double epsilon) {
  if (!packed.is_cpu()) return composed::head_norm(packed, range, gamma, epsilon);
  const std::int64_t n = packed.size(0), width = packed.size(1), d = range.size;
  HeadNorm norm{empty({n, range.heads * d}, packed.scalar_type()),
                empty({n * range.heads}, at::kFloat)};
  with_type(packed.scalar_type(), [&]<typename T>(T) {
    T* data = pointer<T>(packed);
    T* unit = pointer<T>(norm.unit);
    float* rstd = floats(norm.rstd);
    const float* weight = floats(gamma);
    for_each_row(n * range.heads, d, [&](std::int64_t i) {
      T* head = data + i / range.heads * width + range.first_column + i % range.heads * d;
      rstd[i] = rms_norm_row(head, weight, static_cast<float>(epsilon), unit + i * d, head, d);
    });
  });
  return norm;
}

void head_norm_backward(at::Tensor& packed_gradient, HeadRange range, const HeadNorm& norm,
                        const at::Tensor& gamma, const at::Tensor& gamma_gradient) {
  if (!packed_gradient.is_cpu())
    return composed::head_norm_backward(packed_gradient, range, norm, gamma, gamma_gradient);
  const std::int64_t n = packed_gradient.size(0), width = packed_gradient.size(1);
  const std::int64_t d = range.size, heads = range.heads;
  with_type(packed_gradient.scalar_type(), [&]<typename T>(T) {
    T* data = pointer<T>(packed_gradient);
    const T* unit = pointer<T>(norm.unit);
    const float *rstd = floats(norm.rstd), *weight = floats(gamma);
    const auto head = [&](std::int64_t i) {
      return data + i / heads * width + range.first_column + i % heads * d;
    };
    if (gamma_gradient.defined()) {
      sum_rows(n * heads, gamma_gradient, [&](std::int64_t i, float* sum) {
        accumulate_product_row(head(i), unit + i * d, sum, d);
      });
    }
    for_each_row(n * heads, d, [&](std::int64_t i) {
      rms_norm_backward_row(head(i), unit + i * d, rstd[i], weight, nullptr, head(i), d);
    });
  });
}

void accumulate_products(const at::Tensor& a, const at::Tensor& b, const at::Tensor& sum) {
  if (!a.is_cpu()) return composed::accumulate_products(a, b, sum);
  const std::int64_t n = a.size(0), d = a.size(1);
  with_type(a.scalar_type(), [&]<typename T>(T) {
    const T *left = pointer<T>(a), *right = pointer<T>(b);
    sum_rows(n, sum, [&](std::int64_t i, float* part) {
      accumulate_product_row(left + i * d, right + i * d, part, d);
    });
  });
}

void accumulate_rows(const at::Tensor& a, const at::Tensor& sum) {
  if (!a.is_cpu()) return composed::accumulate_rows(a, sum);
  const std::int64_t n = a.size(0), d = a.size(1);
  with_type(a.scalar_type(), [&]<typename T>(T) {
    const T* data = pointer<T>(a);
    sum_rows(n, sum, [&](std::int64_t i, float* part) { accumulate_row(data + i * d, part, d); });
  });
}

}  // namespace organ::train::kernels
