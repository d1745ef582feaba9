// SPDX-License-Identifier: Apache-2.0
// Hashing with a second look at the bytes while they are in the cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "format/base/digest.h"

namespace organ {

// Shown the bytes of range number `range` while they are hashed: `bytes` stand at `offset` of the
// range. In order and on one thread within a range, ranges on several threads; pieces are multiples
// of 64 KiB but for the last of a range.
using BytesSeen =
    std::function<void(std::size_t range, std::uint64_t offset, std::span<const std::byte> bytes)>;

// hash_ranges() that shows every byte.
std::vector<Digest> hash_seen(std::span<const HashRange> ranges, std::string_view subject,
                              const Work& work, const BytesSeen& seen);

}  // namespace organ
