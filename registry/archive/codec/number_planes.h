// SPDX-License-Identifier: Apache-2.0
// Numbers as planes, the way ZipNN (arXiv 2411.05239) and others store them: of a float one plane
// has all exponents, which are few and repeat, and the others the sign and the mantissa, which are
// as good as random.
#pragma once

#include <cstddef>
#include <span>

#include "registry/archive/codec/element_type.h"

namespace organ::archive {

// `planes` holds type.width planes of bytes.size() / type.width bytes, one behind the other, the
// most significant byte of the numbers first. Floats are turned left by one bit before, so that the
// first plane starts with the exponent and the sign is the last bit of the last. bytes.size() is a
// multiple of the width, and the size of `planes`.
void split_planes(std::span<const std::byte> bytes, const ElementType& type,
                  std::span<std::byte> planes);
// The inverse.
void join_planes(std::span<const std::byte> planes, const ElementType& type,
                 std::span<std::byte> bytes);

}  // namespace organ::archive
