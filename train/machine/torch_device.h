// SPDX-License-Identifier: Apache-2.0
// A device as LibTorch knows it.
#pragma once

#include <functional>
#include <span>

#include <ATen/core/Tensor.h>

#include "train/machine/device.h"

namespace organ::train {

// prepare_device, then LibTorch's name of it. Products of bf16 are summed in fp32 there, and those
// of fp32 are not shortened to TF32.
at::Device open_device(const Device& device);

// Runs the action; what LibTorch says of a device that fails or whose memory is full becomes an
// Error of the class device, memory of the host that ran out std::bad_alloc, what else LibTorch or
// oneDNN throws an Error(internal). What a host's own functions throw passes.
void with_device_errors(at::Device device, const std::function<void()>& action);

}  // namespace organ::train
