// SPDX-License-Identifier: Apache-2.0
// Runs one kernel on the CPU and on the device of the test, and compares.
#pragma once

#include <functional>
#include <vector>

#include "tests/train/support/doctest.h"

namespace organ::test {

using Tensors = std::vector<at::Tensor>;
// Runs one kernel over tensors that are all on one device; gives what it computed.
using Kernel = std::function<Tensors(Tensors)>;

// Normal numbers, the same ones in each run of a program.
at::Tensor random(at::IntArrayRef shape, at::ScalarType type = at::kFloat);

// Of the same numbers: bf16 within one rounding of the largest, and on the whole within the step
// between two bf16 numbers (what is rounded several times on either side); fp32 within `limit` of
// it, which is its own rounding unless it sums up rounded numbers.
//
// With `exact`, which computes the same in fp64, fp32 of both sides is held to that instead of to
// each other: long sums in two orders differ by twice what either of them is off.
void compare(const Tensors& inputs, const Kernel& kernel, double limit = 2e-6,
             const Kernel& exact = {});

// action(type) in both working types.
void in_both(const std::function<void(at::ScalarType)>& action);

}  // namespace organ::test
