// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/internal/zip_writer.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "format/base/file.h"
#include "format/pickle/internal/crc32.h"
#include "format/pickle/internal/zip_format.h"

namespace organ::format::internal {
namespace {

constexpr std::uint64_t kAlignment = 64;
constexpr std::uint64_t kCopyPiece = std::uint64_t{1} << 20;
constexpr std::uint64_t kVersion = 45;      // with ZIP64
constexpr std::uint64_t kNoDate = 0x21;     // 1980-01-01: no clock in what is written
constexpr std::uint64_t kPadding = 0x4246;  // the field "FB", as torch calls it

std::uint64_t in_32(std::uint64_t number) { return std::min(number, kIn64); }

}  // namespace

void ZipWriter::add(const std::string& name, std::string_view text) {
  add(name, text.size(), [text](std::uint64_t offset, std::span<std::byte> out) {
    std::memcpy(out.data(), text.data() + offset, out.size());
  });
}

void ZipWriter::add(const std::string& name, std::uint64_t size, const Read& read,
                    const Work& work) {
  constexpr std::uint64_t kChecksum = 14;  // its place in the header
  RecordWriter extra;
  if (size >= kIn64) extra.number(kExtra64, 2).number(16, 2).number(size, 8).number(size, 8);
  const std::uint64_t before = at_ + kLocalBytes + name.size() + extra.bytes().size() + 4;
  const std::uint64_t padding = (kAlignment - before % kAlignment) % kAlignment;
  extra.number(kPadding, 2).number(padding, 2).text(std::string(padding, 'Z'));
  RecordWriter header;
  header.number(kLocalHeader, 4).number(kVersion, 2).number(kIsUtf8, 2).number(0, 2);
  header.number(0, 2).number(kNoDate, 2).number(0, 4).number(in_32(size), 4);
  header.number(in_32(size), 4).number(name.size(), 2).number(extra.bytes().size(), 2);
  header.text(name).text(extra.bytes());
  write_all(fd_, header.bytes(), subject_);

  std::vector<std::byte> buffer(std::min(size, kCopyPiece));
  std::uint32_t sum = 0;
  for (std::uint64_t offset = 0; offset < size; offset += buffer.size()) {
    buffer.resize(std::min<std::uint64_t>(buffer.size(), size - offset));
    read(offset, buffer);
    sum = crc32(buffer, sum);
    write_all(fd_, buffer, subject_);
    work.advance(buffer.size());
  }
  const std::string checksum = RecordWriter().number(sum, 4).bytes();
  write_at(fd_, at_ + kChecksum, std::as_bytes(std::span(checksum)), subject_);

  RecordWriter large;
  if (size >= kIn64) large.number(size, 8).number(size, 8);
  if (at_ >= kIn64) large.number(at_, 8);
  const std::uint64_t large_bytes = large.bytes().empty() ? 0 : large.bytes().size() + 4;
  RecordWriter entry;
  entry.number(kCentralHeader, 4).number(kVersion, 2).number(kVersion, 2).number(kIsUtf8, 2);
  entry.number(0, 2).number(0, 2).number(kNoDate, 2).number(sum, 4).number(in_32(size), 4);
  entry.number(in_32(size), 4).number(name.size(), 2).number(large_bytes, 2).number(0, 2);
  entry.number(0, 2).number(0, 2).number(0, 4).number(in_32(at_), 4).text(name);
  if (large_bytes > 0) {
    entry.number(kExtra64, 2).number(large.bytes().size(), 2).text(large.bytes());
  }
  directory_ += entry.bytes();
  at_ += header.bytes().size() + size;
  ++count_;
}

void ZipWriter::finish() {
  RecordWriter end;
  end.text(directory_);
  const std::uint64_t end64 = at_ + directory_.size();
  end.number(kEnd64, 4).number(kEnd64Bytes - 12, 8).number(kVersion, 2).number(kVersion, 2);
  end.number(0, 4).number(0, 4).number(count_, 8).number(count_, 8);
  end.number(directory_.size(), 8).number(at_, 8);
  end.number(kEnd64Locator, 4).number(0, 4).number(end64, 8).number(1, 4);
  const std::uint64_t count = std::min(count_, kCountIn64);
  end.number(kEnd, 4).number(0, 2).number(0, 2).number(count, 2).number(count, 2);
  end.number(in_32(directory_.size()), 4).number(in_32(at_), 4).number(0, 2);
  write_all(fd_, end.bytes(), subject_);
}

}  // namespace organ::format::internal
