// SPDX-License-Identifier: Apache-2.0
// The ordered, base-bucketed delta of float weights (OBD): what training made of them, written as
// steps in the order of the floats. A step of the same size in value is the more steps in this
// order the smaller the weight is, so the steps are put together by the exponent of the base's
// weight, which the reader has too; within such a bucket they are alike, and cheap to write.
//
// Payload, all numbers little-endian. A number's place in the order is its bits with the sign bit
// set, or, of a negative one, its complement. A step is the place of the new number less that of
// the base's, modulo the width, and then 2 s, or -2 s - 1 of a negative one. A bucket holds the
// steps of all weights whose base has one exponent (the highest 8 bits of it), in their order;
// buckets go by rising exponent.
//   for each bucket of at least kMinBucket steps:
//     u8 shift; a plane (plane.h): of each step what is above its `shift` lowest bits, 255 for that
//     or more
//   the lowest `shift` bits of every step of these buckets, packed, the first bit the lowest
//   of every 255: the step without its lowest bits, as a number of the width
//   planes of the remaining steps: the lowest byte of each, then the next, …
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "registry/archive/codec/byte_stream.h"
#include "registry/archive/codec/element_type.h"
#include "registry/archive/codec/zstd_frames.h"

namespace organ::archive {

inline constexpr std::size_t kMinBucket = 512;

// Appends the payload of `bytes` against `base`, both whole numbers of a float type and of the
// same size. Throws bad_alloc.
void append_ordered_delta(std::span<const std::byte> bytes, std::span<const std::byte> base,
                          const ElementType& type, ZstdFrames& frames, std::vector<std::byte>& out);

// Fills `bytes` from such a payload. Throws corrupt.
void take_ordered_delta(ByteReader from, std::span<const std::byte> base, const ElementType& type,
                        ZstdFrames& frames, std::span<std::byte> bytes);

// How many bits a step takes on the average, judged by some thousand of them.
double sampled_step_bits(std::span<const std::byte> bytes, std::span<const std::byte> base,
                         const ElementType& type);

}  // namespace organ::archive
