// SPDX-License-Identifier: Apache-2.0
// NVIDIA's driver, asked for its devices without any other part of CUDA.
#pragma once

#include <cstdint>
#include <string>

namespace organ::train {

// The maker's name of a device and all of its memory, in use or not.
struct CudaDeviceFacts {
  std::string name;
  std::uint64_t memory_bytes = 0;
};

// The facts of device `index`. Throws device where there is no driver (libcuda.so.1), where it
// fails, and where it has no such device. Counted from 0 as the driver does. The driver stays
// loaded to the end of the process.
CudaDeviceFacts cuda_device_facts(int index);

}  // namespace organ::train
