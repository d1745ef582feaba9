// SPDX-License-Identifier: Apache-2.0
// The device that the tests of devices run on: each program has its own (pretend_device.cc,
// cuda_device.cc).
#pragma once

#include <ATen/core/Tensor.h>

namespace organ::test {

at::Device test_device();

}  // namespace organ::test
