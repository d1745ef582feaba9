// SPDX-License-Identifier: Apache-2.0
// Where a model runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "format/base/error.h"

#pragma GCC visibility push(default)

namespace organ::train {

struct Device {
  enum class Kind : std::uint8_t { cpu, cuda };
  Kind kind = Kind::cpu;
  // Of several CUDA devices, as CUDA counts them; -1: the first or, where several processes of a
  // machine train together, each its own.
  int index = -1;

  bool is_cpu() const { return kind == Kind::cpu; }
  int ordinal() const { return index < 0 ? 0 : index; }
  bool operator==(const Device&) const = default;
};

// "cpu", "cuda", "cuda:0", and back; nullopt for anything else.
std::string to_string(const Device& device);
std::optional<Device> parse_device(std::string_view text);

// "cpu" or "cuda": what a figure may depend on; which of several devices computed does not matter.
std::string_view device_class(const Device& device);

// Makes the device ready and proves that it is there; for the CPU nothing. CUDA's part of LibTorch
// is loaded now, from the folder that LibTorch lies in, so that a program without it starts as fast
// and needs none of it. Call before anything else of LibTorch, from one thread. Throws device with
// the reason: no driver, no such device, a library that is missing.
void prepare_device(const Device& device);

// Name of the device's maker and how much memory it has: "NVIDIA H200, 139 GiB".
std::string describe_device(const Device& device);

// The most memory of the device that this process has held at once; nullopt for the CPU,
// whose memory is the process's.
std::optional<std::uint64_t> peak_device_bytes(const Device& device);

}  // namespace organ::train

#pragma GCC visibility pop
