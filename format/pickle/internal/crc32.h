// SPDX-License-Identifier: Apache-2.0
// The checksum of ZIP members (CRC-32 of ISO 3309, polynomial 0xEDB88320). It finds damage, no
// forgery: what is trusted is trusted by its SHA-256.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace organ::format::internal {

// The checksum of what was already summed into `before` (0 at the start) and `bytes` behind it.
std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t before = 0);

}  // namespace organ::format::internal
