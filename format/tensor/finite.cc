// SPDX-License-Identifier: Apache-2.0
#include "format/tensor/finite.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "format/base/fail.h"

namespace organ::format {
namespace {

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__)
#define ORGAN_VERSIONS __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define ORGAN_VERSIONS
#endif

// Elements that are looked at before the next decision: 4 to 32 KiB.
constexpr std::size_t kBlock = 4096;

// The largest magnitude of a block, as an integer: those of NaN and infinity are above all others.
// Signed numbers have vector instructions in every version of the machine. Two sums of vectors, so
// that one need not wait for the other.
template <typename Signed>
inline __attribute__((always_inline)) Signed largest(const std::byte* data, std::size_t count,
                                                     Signed magnitude) {
  typedef Signed Vector __attribute__((vector_size(64)));
  constexpr std::size_t kLanes = sizeof(Vector) / sizeof(Signed);
  Vector first = {}, second = {};
  std::size_t i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
    Vector a, b;
    std::memcpy(&a, data + i * sizeof(Signed), sizeof a);
    std::memcpy(&b, data + (i + kLanes) * sizeof(Signed), sizeof b);
    a &= magnitude;
    b &= magnitude;
    first = a > first ? a : first;
    second = b > second ? b : second;
  }
  first = first > second ? first : second;
  Signed most = 0;
  for (std::size_t lane = 0; lane < kLanes; ++lane) most = std::max(most, first[lane]);
  for (; i < count; ++i) {
    Signed bits;
    std::memcpy(&bits, data + i * sizeof bits, sizeof bits);
    most = std::max(most, static_cast<Signed>(bits & magnitude));
  }
  return most;
}

ORGAN_VERSIONS std::int8_t largest_magnitude(const std::byte* data, std::size_t count,
                                             std::int8_t magnitude) {
  return largest<std::int8_t>(data, count, magnitude);
}
ORGAN_VERSIONS std::int16_t largest_magnitude(const std::byte* data, std::size_t count,
                                              std::int16_t magnitude) {
  return largest<std::int16_t>(data, count, magnitude);
}
ORGAN_VERSIONS std::int32_t largest_magnitude(const std::byte* data, std::size_t count,
                                              std::int32_t magnitude) {
  return largest<std::int32_t>(data, count, magnitude);
}
ORGAN_VERSIONS std::int64_t largest_magnitude(const std::byte* data, std::size_t count,
                                              std::int64_t magnitude) {
  return largest<std::int64_t>(data, count, magnitude);
}

// `infinity`: the least magnitude that is no number.
template <typename Signed>
std::optional<std::uint64_t> find(std::span<const std::byte> bytes, Signed infinity) {
  constexpr auto kMagnitude = std::numeric_limits<Signed>::max();
  const std::size_t count = bytes.size() / sizeof(Signed);
  for (std::size_t at = 0; at < count; at += kBlock) {
    const std::byte* block = bytes.data() + at * sizeof(Signed);
    const std::size_t n = std::min(kBlock, count - at);
    if (largest_magnitude(block, n, kMagnitude) < infinity) continue;
    for (std::size_t i = 0; i < n; ++i) {
      if (largest<Signed>(block + i * sizeof(Signed), 1, kMagnitude) >= infinity) return at + i;
    }
  }
  return std::nullopt;
}

// The only byte that is no number, of types that have one.
std::optional<std::uint64_t> find_byte(std::span<const std::byte> bytes, int value) {
  const void* found = bytes.empty() ? nullptr : std::memchr(bytes.data(), value, bytes.size());
  if (found == nullptr) return std::nullopt;
  return static_cast<std::uint64_t>(static_cast<const std::byte*>(found) - bytes.data());
}

}  // namespace

bool may_be_not_finite(DType dtype) {
  switch (dtype) {
    case DType::F8_E5M2:
    case DType::F8_E4M3:
    case DType::F8_E8M0:
    case DType::F8_E4M3FNUZ:
    case DType::F8_E5M2FNUZ:
    case DType::F16:
    case DType::BF16:
    case DType::F32:
    case DType::C64:
    case DType::F64: return true;
    default: return false;
  }
}

std::optional<std::uint64_t> first_not_finite(DType dtype, std::span<const std::byte> bytes) {
  switch (dtype) {
    case DType::F8_E5M2: return find<std::int8_t>(bytes, 0x7C);
    case DType::F8_E4M3: return find<std::int8_t>(bytes, 0x7F);
    case DType::F8_E8M0: return find_byte(bytes, 0xFF);
    case DType::F8_E4M3FNUZ:
    case DType::F8_E5M2FNUZ: return find_byte(bytes, 0x80);
    case DType::F16: return find<std::int16_t>(bytes, 0x7C00);
    case DType::BF16: return find<std::int16_t>(bytes, 0x7F80);
    case DType::F32: return find<std::int32_t>(bytes, 0x7F800000);
    case DType::F64: return find<std::int64_t>(bytes, 0x7FF0000000000000);
    case DType::C64: {
      const auto part = find<std::int32_t>(bytes, 0x7F800000);
      return part ? std::optional(*part / 2) : std::nullopt;
    }
    default: return std::nullopt;
  }
}

std::string describe_not_finite(const Shape& shape, std::uint64_t element) {
  Shape place(shape.size());
  for (std::size_t i = shape.size(); i-- > 0;) {
    place[i] = element % shape[i];
    element /= shape[i];
  }
  return "NaN or infinity at " + to_string(place);
}

void require_finite(const TensorInfo& tensor, std::span<const std::byte> bytes) {
  const auto element = first_not_finite(tensor.dtype, bytes);
  if (!element) return;
  fail(ErrorCode::corrupt, "tensor {}: {}", quote(tensor.name),
       describe_not_finite(tensor.shape, *element));
}

}  // namespace organ::format
