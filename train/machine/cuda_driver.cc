// SPDX-License-Identifier: Apache-2.0
#include "train/machine/internal/cuda_driver.h"

#include <array>

#include <dlfcn.h>
#include <fmt/core.h>

#include "format/base/fail.h"

namespace organ::train {
namespace {

constexpr const char* kDriver = "libcuda.so.1";
constexpr const char* kHint = "--device cpu runs on every machine";

[[noreturn]] void refuse(const std::string& reason) {
  throw Error(ErrorCode::device, "cuda: " + reason, kHint);
}

// Never closed: LibTorch uses the same library to the end of the process.
void* open_driver() {
  void* driver = ::dlopen(kDriver, RTLD_NOW | RTLD_LOCAL);
  if (driver == nullptr) {
    refuse(fmt::format("no NVIDIA driver on this machine: {}", escape_text(::dlerror())));
  }
  return driver;
}

// A function of the driver's C interface; all give 0 for success.
template <typename... Arguments>
void call(void* driver, const char* name, Arguments... arguments) {
  void* symbol = ::dlsym(driver, name);
  if (symbol == nullptr) refuse(fmt::format("{} has no {}: the driver is too old", kDriver, name));
  const int result = reinterpret_cast<int (*)(Arguments...)>(symbol)(arguments...);
  if (result == 100) refuse("the driver finds no device");  // CUDA_ERROR_NO_DEVICE
  if (result != 0) refuse(fmt::format("{} failed with error {} of the driver", name, result));
}

}  // namespace

CudaDeviceFacts cuda_device_facts(int index) {
  void* driver = open_driver();
  call(driver, "cuInit", 0u);
  int count = 0, device = 0;
  call(driver, "cuDeviceGetCount", &count);
  if (count == 0) refuse("the driver finds no device");
  if (index >= count) {
    refuse(
        fmt::format("device {} is asked for but the driver has {} (counted from 0)", index, count));
  }
  call(driver, "cuDeviceGet", &device, index);
  std::array<char, 256> name{};
  call(driver, "cuDeviceGetName", name.data(), static_cast<int>(name.size() - 1), device);
  std::size_t bytes = 0;
  call(driver, "cuDeviceTotalMem_v2", &bytes, device);
  return {name.data(), bytes};
}

}  // namespace organ::train
