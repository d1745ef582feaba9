// SPDX-License-Identifier: Apache-2.0
// Matrix products, the one place that chooses who computes them. bf16 goes to LibTorch's mm, which
// hands it to oneDNN; on a processor that has no bf16 for oneDNN (x86-64 without AVX-512) it is
// computed in fp32 and rounded. fp32 goes to oneDNN too: LibTorch would take MKL, which keeps to
// AVX2 on other makers' processors (measured on two Zen 5 cores: 190 GFLOP/s against 430). Both
// compute in plain fp32 and give the same bits for the same shapes and number of threads. Elsewhere
// LibTorch's library of the device does; open_device (train/machine/torch_device.h) makes it sum in
// fp32.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace organ::train::kernels {

// a [n, k] x b [k, m] -> [n, m]; either may be a transposed view. Both fp32 or both bf16, on one
// device. `bias` [m] is added to every row; undefined = none.
at::Tensor product(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias = {});

// Matrix by matrix: a [g, n, k] x b [g, k, m] -> [g, n, m], of the same kinds.
at::Tensor batched_product(const at::Tensor& a, const at::Tensor& b);

// Floating-point operations of all products of this process so far, 2 n k m each. Thread-safe.
std::uint64_t product_flops();

}  // namespace organ::train::kernels
