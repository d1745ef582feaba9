// SPDX-License-Identifier: Apache-2.0
// MXFP4 of the OCP Microscaling Formats specification 1.0: blocks of 32 four-bit numbers (E2M1)
// that share one power of two (E8M0), as gpt-oss stores its experts.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace organ::format {

// How the names of the two parts of an MXFP4 tensor end.
inline constexpr std::string_view kMxfp4Blocks = "_blocks", kMxfp4Scales = "_scales";

inline constexpr std::size_t kMxfp4BlockValues = 32;
inline constexpr std::size_t kMxfp4BlockBytes = 16;

// The numbers of blocks.size() / 16 blocks, one scale byte each, exactly: E2M1 value x
// 2^(scale - 127); what fp32 has no number for is infinite. The low four bits of a byte are the
// number before the high ones. Scale 255 is NaN. The sizes must fit each other.
void decode_mxfp4(std::span<const std::byte> blocks, std::span<const std::byte> scales,
                  std::span<float> values);

}  // namespace organ::format
