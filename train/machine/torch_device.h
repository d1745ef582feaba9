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
// Error of the class device.
void with_device_errors(at::Device device, const std::function<void()>& action);

// Rows of logits that the head computes at once: a device wants larger products.
std::int64_t head_chunk(at::Device device);

// The numbers of a contiguous fp32 tensor on the CPU, borrowed.
std::span<float> host_floats(const at::Tensor& tensor);

}  // namespace organ::train
