// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include "train/machine/precision.h"

namespace organ::train {

// GFLOP/s of a matrix product on an opened device, as measure_gemm_rate measures it on the CPU; of
// larger matrices where it is none. Computes on the calling thread, with the threads that it has.
double gemm_rate_on(at::Device device, Precision precision);

}  // namespace organ::train
