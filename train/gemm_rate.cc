// SPDX-License-Identifier: Apache-2.0
#include "train/gemm_rate.h"

#include <algorithm>
#include <chrono>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <fmt/core.h>
#include <torch/version.h>

#include "train/kernels/product.h"

namespace organ::train {

double measure_gemm_rate(Precision precision) {
  constexpr std::int64_t kRows = 512, kInner = 768, kColumns = 3072;
  const auto type = precision == Precision::fp32 ? at::kFloat : at::kBFloat16;
  // Random numbers: some processors multiply ones and zeros at another clock rate.
  const at::Generator random = at::detail::createCPUGenerator(1);
  const at::Tensor a = at::randn({kRows, kInner}, random).to(type);
  const at::Tensor b = at::randn({kInner, kColumns}, random).to(type);
  // The first products wake the threads and make the kernels; a quarter of a second outlasts that.
  constexpr std::chrono::milliseconds kAtLeast(250);
  double best = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (auto start = begin; start - begin < kAtLeast; start = std::chrono::steady_clock::now()) {
    kernels::product(a, b);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2.0 * kRows * kInner * kColumns / elapsed.count() / 1e9);
  }
  return best;
}

std::string tensor_library() {
  return fmt::format("LibTorch {} ({})", TORCH_VERSION, at::get_cpu_capability());
}

int thread_count() { return at::get_num_threads(); }

}  // namespace organ::train
