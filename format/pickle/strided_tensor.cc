// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/internal/strided_tensor.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace organ::format::internal {

bool lies_in_order(const Shape& shape, const Shape& strides) {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end())
    return true;  // no element lies apart
  std::uint64_t expected = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 1) continue;
    if (strides[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

std::uint64_t extent(const Shape& shape, const Shape& strides) {
  std::uint64_t last = 0;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0) return 0;
    last += (shape[i] - 1) * strides[i];
  }
  return last + 1;
}

namespace {

template <typename Copy>
void gather_by(const Copy& copy, const Shape& shape, const Shape& strides,
               std::size_t element_bytes, std::uint64_t offset, std::span<std::byte> out) {
  // Where element number `offset / element_bytes` stands.
  std::vector<std::uint64_t> index(shape.size());
  std::uint64_t number = offset / element_bytes, place = 0;
  for (std::size_t i = shape.size(); i-- > 0;) {
    index[i] = number % shape[i];
    number /= shape[i];
    place += index[i] * strides[i];
  }
  std::size_t skipped = offset % element_bytes;  // of the first element
  while (!out.empty()) {
    const std::size_t count = std::min(element_bytes - skipped, out.size());
    copy(place * element_bytes + skipped, out.first(count));
    out = out.subspan(count);
    skipped = 0;
    for (std::size_t i = shape.size(); i-- > 0;) {
      place += strides[i];
      if (++index[i] < shape[i]) break;
      place -= shape[i] * strides[i];
      index[i] = 0;
    }
  }
}

}  // namespace

void gather(const CopyBytes& copy, const Shape& shape, const Shape& strides,
            std::size_t element_bytes, std::uint64_t offset, std::span<std::byte> out) {
  gather_by(copy, shape, strides, element_bytes, offset, out);
}

void gather(std::span<const std::byte> stored, const Shape& shape, const Shape& strides,
            std::size_t element_bytes, std::uint64_t offset, std::span<std::byte> out) {
  const auto copy = [stored](std::uint64_t from, std::span<std::byte> to) {
    std::memcpy(to.data(), stored.subspan(from, to.size()).data(), to.size());
  };
  gather_by(copy, shape, strides, element_bytes, offset, out);
}

}  // namespace organ::format::internal
