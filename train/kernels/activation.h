// SPDX-License-Identifier: Apache-2.0
// The element-wise functions of MLPs by name. It stands alone because every layer names one, and
// only the kernels need the loops behind it (rows.h).
#pragma once

#include <cstdint>

namespace organ::train::kernels {

// silu is x * sigmoid(x); gelu is x * Phi(x), gelu_tanh its approximation (arXiv 1606.08415); relu
// is max(x, 0).
enum class Activation : std::uint8_t { silu, gelu, gelu_tanh, relu };

}  // namespace organ::train::kernels
