// SPDX-License-Identifier: Apache-2.0
#include "train/machine/torch_device.h"

#include <filesystem>
#include <new>
#include <string>

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/Exception.h>
#include <dlfcn.h>
#include <fmt/core.h>
#include <dnnl.hpp>

#include "format/base/fail.h"
#include "train/machine/internal/cuda_driver.h"

namespace organ::train {
namespace {

constexpr const char* kCudaLibrary = "libtorch_cuda.so";

// The folder of the LibTorch that runs.
std::filesystem::path library_folder() {
  Dl_info info{};
  const auto& address = at::globalContext;
  if (::dladdr(reinterpret_cast<void*>(address), &info) == 0 || info.dli_fname == nullptr) {
    throw Error(ErrorCode::internal, "cannot tell where LibTorch was loaded from");
  }
  return std::filesystem::path(info.dli_fname).parent_path();
}

// Its kernels register themselves with LibTorch's dispatcher. Never closed.
void load_cuda_library() {
  const auto path = library_folder() / kCudaLibrary;
  if (::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr) return;
  throw Error(ErrorCode::device, fmt::format("cuda: {}", escape_text(::dlerror())),
              "./dev setup --cuda installs the libraries that LibTorch needs for CUDA");
}

std::string first_line(const std::exception& error) {
  const std::string text = error.what();
  return escape_text(text.substr(0, text.find('\n')));
}

}  // namespace

void prepare_device(const Device& device) {
  if (device.is_cpu()) return;
  (void)cuda_device_facts(device.ordinal());
  load_cuda_library();
  try {
    at::globalContext().lazyInitDevice(at::kCUDA);
  } catch (const c10::Error& error) {
    throw Error(ErrorCode::device, fmt::format("cuda: {}", first_line(error)));
  }
  const int count = at::detail::getCUDAHooks().getNumGPUs();
  if (device.ordinal() < count) return;
  throw Error(ErrorCode::device,
              fmt::format("cuda: LibTorch can use {}, not the one asked for ({})",
                          counted(count, "device"), to_string(device)),
              "CUDA_VISIBLE_DEVICES hides devices; a driver may be too old for LibTorch's CUDA");
}

at::Device open_device(const Device& device) {
  prepare_device(device);
  if (device.is_cpu()) return at::kCPU;
  at::globalContext().setAllowTF32CuBLAS(false);
  at::globalContext().setAllowBF16ReductionCuBLAS(/*allow_reduced_precision=*/false);
  return {at::kCUDA, static_cast<at::DeviceIndex>(device.ordinal())};
}

std::string describe_device(const Device& device) {
  if (device.is_cpu()) return "CPU";
  const CudaDeviceFacts facts = cuda_device_facts(device.ordinal());
  return fmt::format("{}, {:.0f} GiB", escape_text(facts.name),
                     static_cast<double>(facts.memory_bytes) / (1 << 30));
}

std::optional<std::uint64_t> peak_device_bytes(const Device& device) {
  if (device.is_cpu()) return std::nullopt;
  constexpr auto kAll = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  const auto stats = c10::getDeviceAllocator(at::kCUDA)->getDeviceStats(
      static_cast<at::DeviceIndex>(device.ordinal()));
  return static_cast<std::uint64_t>(stats.reserved_bytes[kAll].peak);
}

namespace {

// LibTorch's allocator for the CPU says so in words alone.
bool is_out_of_memory(const c10::Error& error) {
  return first_line(error).find("can't allocate memory") != std::string::npos;
}

// What makes oneDNN's code at run time says so as an error of no kind.
bool is_out_of_memory(const dnnl::error& error) {
  return error.status == dnnl_out_of_memory || error.status == dnnl_runtime_error;
}

}  // namespace

void with_device_errors(at::Device device, const std::function<void()>& action) {
  try {
    action();
  } catch (const c10::OutOfMemoryError& error) {
    throw Error(ErrorCode::device, fmt::format("{}: {}", device.str(), first_line(error)),
                "a smaller --batch, --context or --checkpoint-activations needs less memory");
  } catch (const c10::AcceleratorError& error) {
    throw Error(ErrorCode::device, fmt::format("{}: {}", device.str(), first_line(error)));
  } catch (const c10::Error& error) {
    if (is_out_of_memory(error)) throw std::bad_alloc();
    throw Error(ErrorCode::internal, "LibTorch: " + first_line(error));
  } catch (const dnnl::error& error) {
    if (is_out_of_memory(error)) throw std::bad_alloc();
    throw Error(ErrorCode::internal, "oneDNN: " + first_line(error));
  }
}

}  // namespace organ::train
