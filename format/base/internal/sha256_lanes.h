// SPDX-License-Identifier: Apache-2.0
// SHA-256 (FIPS 180-4) of two messages at once on one core. The instructions that a processor has
// for it wait for one another; a second message, which needs nothing of the first, fills that time:
// 1.9 times the bytes where this was measured, and as many as OpenSSL's own when there is only one.
// For the ranges of files (hash_ranges.cc), at rates where that shows; all else is OpenSSL's
// (digest.h). Pure functions, thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "format/base/digest.h"

namespace organ::internal {

inline constexpr std::size_t kSha256Block = 64;

// The eight words between two blocks, at first those of FIPS 180-4, 5.3.3.
struct Sha256State {
  std::array<std::uint32_t, 8> words = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
};

// Whether the functions below run here, asked once: the processor has the instructions, and OpenSSL
// is configured to take SHA-256 from no other module (a validated one, FIPS 140), in whose place
// nothing else may be taken.
bool can_hash_in_lanes();

// Takes all whole blocks of `bytes` into `state`.
void absorb(Sha256State& state, std::span<const std::byte> bytes);
// The same of two, each with its own bytes, of any two lengths.
void absorb_two(Sha256State& a, std::span<const std::byte> of_a, Sha256State& b,
                std::span<const std::byte> of_b);

// The digest of a message of `size` bytes of which all whole blocks were absorbed and `rest`, less
// than a block, is left.
Digest finish(Sha256State state, std::span<const std::byte> rest, std::uint64_t size);

}  // namespace organ::internal
