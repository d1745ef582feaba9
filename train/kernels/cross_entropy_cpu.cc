// SPDX-License-Identifier: Apache-2.0
#include "train/kernels/cross_entropy.h"

#include <cmath>
#include <limits>
#include <vector>

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include "train/kernels/dispatch.h"
#include "train/kernels/elementwise.h"
#include "train/kernels/internal/composed.h"

namespace organ::train::kernels {
namespace {

double* doubles(const at::Tensor& tensor) { return tensor.data_ptr<double>(); }

}  // namespace

SoftmaxSums empty_sums(std::int64_t rows, at::Device device) {
  const auto options = at::TensorOptions().device(device);
  return {at::full({rows}, -std::numeric_limits<float>::infinity(), options.dtype(at::kFloat)),
          at::zeros({rows}, options.dtype(at::kDouble)),
          at::zeros({rows}, options.dtype(at::kFloat))};
}

at::Tensor add_logits(const SoftmaxSums& sums, at::Tensor& logits, const at::Tensor& targets,
                      std::int64_t first_id, bool weights) {
  if (!logits.is_cpu()) return composed::add_logits(sums, logits, targets, first_id, weights);
  const std::int64_t n = logits.size(0), width = logits.size(1);
  at::Tensor factors = empty({n}, at::kFloat);
  const std::int64_t* target = targets.const_data_ptr<std::int64_t>();
  with_type(logits.scalar_type(), [&]<typename T>(T) {
    T* data = pointer<T>(logits);
    at::parallel_for(0, n, 1, [&](std::int64_t begin, std::int64_t end) {
      std::vector<float> scratch(static_cast<std::size_t>(width));
      for (std::int64_t i = begin; i < end; ++i) {
        SoftmaxState state{floats(sums.top)[i], doubles(sums.sum)[i], floats(sums.score)[i]};
        floats(factors)[i] = softmax_stretch_row(data + i * width, width, target[i] - first_id,
                                                 weights, state, scratch.data());
        floats(sums.top)[i] = state.top;
        doubles(sums.sum)[i] = state.sum;
        floats(sums.score)[i] = state.score;
      }
    });
  });
  return factors;
}

void rescale_and_add(at::Tensor& total, const at::Tensor& factor, const at::Tensor& part) {
  if (!total.is_cpu()) return composed::rescale_and_add(total, factor, part);
  const std::int64_t width = total.size(1);
  with_type(part.scalar_type(), [&]<typename T>(T) {
    const T* delta = pointer<T>(part);
    for_each_row(total.size(0), width, [&](std::int64_t i) {
      float* row = floats(total) + i * width;
      const float by = floats(factor)[i];
      if (by != 1.0f) scale_row(row, by, row, width);
      add_row(row, delta + i * width, row, width);
    });
  });
}

at::Tensor losses(const SoftmaxSums& sums) {
  if (!sums.sum.is_cpu()) return composed::losses(sums);
  at::Tensor out = empty(sums.sum.sizes(), at::kDouble);
  for (std::int64_t i = 0; i < out.size(0); ++i) {
    doubles(out)[i] = std::log(doubles(sums.sum)[i]) + static_cast<double>(floats(sums.top)[i]) -
                      static_cast<double>(floats(sums.score)[i]);
  }
  return out;
}

void finish_gradient(const SoftmaxSums& sums, at::Tensor& total, const at::Tensor& projection,
                     const at::Tensor& targets) {
  if (!total.is_cpu()) return composed::finish_gradient(sums, total, projection, targets);
  const std::int64_t width = total.size(1);
  const std::int64_t* target = targets.const_data_ptr<std::int64_t>();
  with_type(projection.scalar_type(), [&]<typename T>(T) {
    const T* weights = pointer<T>(projection);
    for_each_row(total.size(0), width, [&](std::int64_t i) {
      const double sum = doubles(sums.sum)[i];
      const double distance =
          static_cast<double>(floats(sums.score)[i]) - static_cast<double>(floats(sums.top)[i]);
      float* row = floats(total) + i * width;
      scale_row(row, static_cast<float>(1 / sum), row, width);
      accumulate_scaled_row(weights + target[i] * width,
                            static_cast<float>(std::exp(distance) / sum - 1), row, width);
    });
  });
}

}  // namespace organ::train::kernels
