// SPDX-License-Identifier: Apache-2.0
#include "train/machine/gemm_rate.h"

#include <algorithm>
#include <chrono>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/core.h>

#include "train/kernels/product.h"
#include "train/machine/gemm_rate_on.h"
#include "train/machine/software.h"
#include "train/machine/start_machine.h"

namespace organ::train {

namespace {

// For the work that a device has been given; the CPU has done it by then.
void wait_for(at::Device device) {
  if (device.is_cpu()) return;
  c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
}

}  // namespace

double measure_gemm_rate(Precision precision) {
  return on_machine({.own_process = true}, 1,
                    [&](at::Device device) { return gemm_rate_on(device, precision); });
}

double gemm_rate_on(at::Device device, Precision precision) {
  // A device is not filled by what fills two cores.
  const std::int64_t factor = device.is_cpu() ? 1 : 4;
  const std::int64_t rows = 512 * factor, inner = 768 * factor, columns = 3072 * factor;
  const auto type = precision == Precision::fp32 ? at::kFloat : at::kBFloat16;
  // Random numbers: some processors multiply ones and zeros at another clock rate.
  const at::Generator random = at::detail::createCPUGenerator(1);
  const at::Tensor a = at::randn({rows, inner}, random).to(device, type);
  const at::Tensor b = at::randn({inner, columns}, random).to(device, type);
  // The first products wake the threads and make the kernels: none of the last ones may be much
  // faster than those before. A quarter of a second outlasts that on any machine.
  constexpr std::chrono::milliseconds kAtMost(250);
  // A device raises its clocks while it works.
  const std::chrono::milliseconds at_least(device.is_cpu() ? 0 : 100);
  constexpr int kSettled = 4;
  constexpr double kFaster = 1.05;
  double best = 0;
  int settled = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (auto start = begin;
       start - begin < kAtMost && (settled < kSettled || start - begin < at_least);
       start = std::chrono::steady_clock::now()) {
    kernels::product(a, b);
    wait_for(device);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    const double rate = 2.0 * static_cast<double>(rows * inner * columns) / elapsed.count() / 1e9;
    settled = rate > best * kFaster ? 0 : settled + 1;
    best = std::max(best, rate);
  }
  return best;
}

std::string tensor_library() {
  return fmt::format("LibTorch {} ({})", torch_version(), at::get_cpu_capability());
}

int thread_count() { return at::get_num_threads(); }

}  // namespace organ::train
