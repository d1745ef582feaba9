// SPDX-License-Identifier: Apache-2.0
// Single numbers of stored tensors, changed in place.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "format/tensor/safetensors.h"

namespace organ::test {

inline constexpr std::uint16_t kNanBf16 = 0x7FC1, kInfinityBf16 = 0xFF80;

// Writes `bits` over element `element` of a BF16 tensor.
inline void poke_bf16(const std::filesystem::path& file, std::string_view tensor,
                      std::uint64_t element, std::uint16_t bits) {
  const auto opened = format::SafetensorsFile::open(file);
  const std::uint64_t at = opened.header().data_start + opened.tensor(tensor).offset + 2 * element;
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekp(static_cast<std::streamoff>(at));
  stream.put(static_cast<char>(bits & 0xFF)).put(static_cast<char>(bits >> 8));
}

}  // namespace organ::test
