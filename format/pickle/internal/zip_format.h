// SPDX-License-Identifier: Apache-2.0
// The records of ZIP, as the reader and the writer share them. All numbers are little-endian.
// Source: PKWARE APPNOTE 6.3.10.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace organ::format::internal {

// The first four bytes of each record: local header (section 4.3.7), central header (4.3.12), data
// descriptor (4.3.9), end record (4.3.16), ZIP64 end record (4.3.14) and its locator (4.3.15).
inline constexpr std::uint64_t kLocalHeader = 0x04034b50, kCentralHeader = 0x02014b50,
                               kDescriptor = 0x08074b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50,
                               kEnd64Locator = 0x07064b50;
// Bytes of their fixed parts, the signature included; names, extra fields and comments come behind.
inline constexpr std::uint64_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22,
                               kEnd64Bytes = 56, kLocatorBytes = 20;
// A field of 4 bytes (kIn64) or 2 bytes (kCountIn64) that holds this has its number elsewhere: a
// member's in the extra field kExtra64 (section 4.5.3), which has 8 bytes for each such field and
// in their order, the end record's in the ZIP64 end record.
inline constexpr std::uint64_t kIn64 = 0xFFFFFFFF;  // the number stands in the extra field
inline constexpr std::uint64_t kCountIn64 = 0xFFFF;
inline constexpr std::uint64_t kExtra64 = 0x0001;                           // the id of that field
inline constexpr std::uint64_t kHasDescriptor = 1 << 3, kIsUtf8 = 1 << 11;  // general flags

// Numbers of a record, one behind the other. Borrows the bytes. Never throws at the end of a
// record: what is missing there reads as zero bits, so callers look at left() where it matters.
class RecordReader {
 public:
  explicit RecordReader(std::string_view bytes) : bytes_(bytes) {}
  std::size_t left() const { return bytes_.size(); }
  std::string_view take(std::size_t count) {  // less where the record ends
    const std::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(taken.size());
    return taken;
  }
  // An unsigned number of `count` bytes, 8 at most.
  std::uint64_t number(std::size_t count) {
    const std::string_view taken = take(count);
    std::uint64_t value = 0;
    for (std::size_t i = taken.size(); i-- > 0;) {
      value = value << 8 | static_cast<unsigned char>(taken[i]);
    }
    return value;
  }

 private:
  std::string_view bytes_;
};

// Builds a record in memory, front to back; each call returns the writer for the next.
class RecordWriter {
 public:
  // The low `count` bytes of the value, 8 at most; what does not fit them is cut off.
  RecordWriter& number(std::uint64_t value, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) text_ += static_cast<char>(value >> 8 * i & 0xFF);
    return *this;
  }
  RecordWriter& text(std::string_view text) {
    text_ += text;
    return *this;
  }
  const std::string& bytes() const { return text_; }

 private:
  std::string text_;
};

}  // namespace organ::format::internal
