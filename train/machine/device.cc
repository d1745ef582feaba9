// SPDX-License-Identifier: Apache-2.0
#include "train/machine/device.h"

#include <charconv>

#include <fmt/core.h>

namespace organ::train {

std::string_view device_class(const Device& device) { return device.is_cpu() ? "cpu" : "cuda"; }

std::string to_string(const Device& device) {
  if (device.is_cpu()) return "cpu";
  return device.index < 0 ? "cuda" : fmt::format("cuda:{}", device.index);
}

std::optional<Device> parse_device(std::string_view text) {
  constexpr std::string_view kCuda = "cuda";
  constexpr int kMostDevices = 128;  // LibTorch counts them in 8 bits
  if (text == "cpu") return Device{};
  if (!text.starts_with(kCuda)) return std::nullopt;
  text.remove_prefix(kCuda.size());
  Device device{Device::Kind::cuda};
  if (text.empty()) return device;
  if (text.front() != ':') return std::nullopt;
  text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), device.index);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || device.index < 0 || device.index >= kMostDevices) return std::nullopt;
  return device;
}

}  // namespace organ::train
