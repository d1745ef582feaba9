// SPDX-License-Identifier: Apache-2.0
// What the machine and the library behind training can do.
#pragma once

#include <string>

#include "train/machine/precision.h"

namespace organ::train {

// Below this the BLAS behind LibTorch is not the one meant (reference BLAS: 6 GFLOP/s).
inline constexpr double kSlowGemmRate = 50;

// GFLOP/s of a 512 x 768 x 3072 matrix product on the CPU, with the threads of a process of our own
// (start_machine), the best of a few; at most a quarter of a second. Threads and memory of the
// whole process stay set so.
double measure_gemm_rate(Precision precision);

// Name, version and instruction set of the tensor library.
std::string tensor_library();
// With how many threads the calling thread computes.
int thread_count();

}  // namespace organ::train
