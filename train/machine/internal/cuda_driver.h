// SPDX-License-Identifier: Apache-2.0
// NVIDIA's driver, asked for its devices without any other part of CUDA.
#pragma once

#include <cstdint>
#include <string>

namespace organ::train {

struct CudaDeviceFacts {
  std::string name;
  std::uint64_t memory_bytes = 0;
};

// The facts of device `index`. Throws device where there is no driver (libcuda.so.1), where it
// fails, and where it has no such device.
CudaDeviceFacts cuda_device_facts(int index);

}  // namespace organ::train
