// SPDX-License-Identifier: Apache-2.0
// Bytes and bits of a payload, one after the other. Little-endian, the first bit the lowest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "format/base/fail.h"

namespace organ::archive {

// Takes a payload apart from its front; every request beyond its end throws corrupt.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : rest_(bytes) {}

  std::span<const std::byte> take(std::size_t size) {
    if (size > rest_.size()) {
      fail(ErrorCode::corrupt, "a chunk ends early: expected {}, has {}",
           counted(size, "more byte"), rest_.size());
    }
    const auto taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  std::uint32_t number(std::size_t bytes) {  // at most 4
    std::uint32_t value = 0;
    std::size_t shift = 0;
    for (const std::byte byte : take(bytes)) {
      value |= std::to_integer<std::uint32_t>(byte) << shift;
      shift += 8;
    }
    return value;
  }
  void require_end() const {
    if (!rest_.empty()) {
      fail(ErrorCode::corrupt, "{} behind the end of a chunk", counted(rest_.size(), "byte"));
    }
  }

 private:
  std::span<const std::byte> rest_;
};

inline void append_number(std::uint32_t value, std::size_t bytes, std::vector<std::byte>& out) {
  for (std::size_t i = 0; i < bytes; ++i) {
    out.push_back(static_cast<std::byte>(value >> 8 * i & 0xff));
  }
}

// The lowest bits of numbers, packed.
class BitWriter {
 public:
  explicit BitWriter(std::vector<std::byte>& out) : out_(out) {}
  void put(std::uint64_t value,
           unsigned bits) {  // at most 56; higher bits of value are not looked at
    if (bits == 0) return;
    held_ |= (value & ((std::uint64_t{1} << bits) - 1)) << filled_;
    for (filled_ += bits; filled_ >= 8; filled_ -= 8) {
      out_.push_back(static_cast<std::byte>(held_ & 0xff));
      held_ >>= 8;
    }
  }
  void finish() {
    if (filled_ > 0) out_.push_back(static_cast<std::byte>(held_ & 0xff));
    held_ = filled_ = 0;
  }

 private:
  std::vector<std::byte>& out_;
  std::uint64_t held_ = 0;
  unsigned filled_ = 0;
};

// The other way. Bits behind the end are 0: how many there have to be is checked where the bytes
// are taken.
class BitReader {
 public:
  explicit BitReader(std::span<const std::byte> bytes) : rest_(bytes) {}
  std::uint64_t get(unsigned bits) {  // at most 56
    if (bits == 0) return 0;
    while (filled_ < bits) {
      const std::uint64_t byte = rest_.empty() ? 0 : std::to_integer<std::uint64_t>(rest_.front());
      if (!rest_.empty()) rest_ = rest_.subspan(1);
      held_ |= byte << filled_;
      filled_ += 8;
    }
    const std::uint64_t value = held_ & ((std::uint64_t{1} << bits) - 1);
    held_ >>= bits;
    filled_ -= bits;
    return value;
  }

 private:
  std::span<const std::byte> rest_;
  std::uint64_t held_ = 0;
  unsigned filled_ = 0;
};

}  // namespace organ::archive
