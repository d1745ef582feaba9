// SPDX-License-Identifier: Apache-2.0
// The optimiser over flat tensors: on the CPU the loops of train/optimize/optimizer.h, elsewhere
// LibTorch's own operations. The working copy is rounded with the same dice, bit by bit.
#pragma once

#include <span>

#include <ATen/core/Tensor.h>

#include "train/optimize/optimizer.h"

namespace organ::train {

// The buffers of all trained parameters, flat, of one length, on one device; fp32 but for
// `working`, which is bf16 or, in fp32, master itself.
struct FlatTensors {
  at::Tensor master, first_moment, second_moment, gradient, working;
};

// Those of the CPU, borrowed.
// Valid while the tensors' memory is. `working` is empty where it is not bf16.
FlatParameters flat_view(const FlatTensors& tensors);

// See train/optimize/optimizer.h.
// On the device of the tensors; `threads` counts on the CPU only. Elsewhere norm, moments and
// weights may differ from the CPU's in their last bits.
double global_norm(const at::Tensor& values, unsigned threads);
void round_working(const FlatTensors& parameters, std::uint64_t update);
void adamw_step(const FlatTensors& parameters, std::span<const ParameterRun> runs,
                const AdamWOptions& options, double rate, std::uint64_t update,
                double gradient_scale, unsigned threads);
void average_step(const at::Tensor& average, const at::Tensor& values, double decay,
                  unsigned threads);

// What runs off the CPU.
// Of tensors on any device, the CPU included, so that both ways can be compared there.
namespace composed {

double global_norm(const at::Tensor& values);
void round_working(const FlatTensors& parameters, std::uint64_t update);
void adamw_step(const FlatTensors& parameters, std::span<const ParameterRun> runs,
                const AdamWOptions& options, double rate, std::uint64_t update,
                double gradient_scale);

}  // namespace composed
}  // namespace organ::train
