// SPDX-License-Identifier: Apache-2.0
// A CUDA driver with the few functions that organ asks it before it loads LibTorch's part: it has
// as many devices as the variable MADE_CUDA_DEVICES says.
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace {

constexpr int kNoDevice = 100;  // CUDA_ERROR_NO_DEVICE

int devices() {
  const char* count = std::getenv("MADE_CUDA_DEVICES");
  return count == nullptr ? 0 : static_cast<int>(std::strtol(count, nullptr, 10));
}

}  // namespace

extern "C" {
int cuInit(unsigned) { return devices() == 0 ? kNoDevice : 0; }
int cuDeviceGetCount(int* count) {
  *count = devices();
  return 0;
}
int cuDeviceGet(int* device, int index) {
  *device = index;
  return 0;
}
int cuDeviceGetName(char* name, int size, int) {
  std::strncpy(name, "a made device", static_cast<std::size_t>(size));
  return 0;
}
int cuDeviceTotalMem_v2(std::size_t* bytes, int) {
  *bytes = std::size_t{1} << 30;
  return 0;
}
}
