// SPDX-License-Identifier: Apache-2.0
#include "registry/archive/container/segment_head.h"

#include <algorithm>
#include <cstring>

#include "format/base/fail.h"

namespace organ::archive {
namespace {

constexpr std::string_view kMagic = "ORGANSEG";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kDigestAt = kBlockBytes - Digest::kSize;
constexpr std::uint64_t kMostBlocks = (std::uint64_t{1} << 63) / kBlockBytes;

// Fields one after the other.
class FieldWriter {
 public:
  explicit FieldWriter(SegmentHead::Block& block) : block_(block) {}
  template <typename Number>
  void number(Number value) {
    for (std::size_t i = 0; i < sizeof value; ++i) {
      block_[at_++] = static_cast<std::byte>(value >> 8 * i & 0xff);
    }
  }
  void digest(const Digest& digest) {
    for (const std::uint8_t byte : digest.bytes()) block_[at_++] = static_cast<std::byte>(byte);
  }

 private:
  SegmentHead::Block& block_;
  std::size_t at_ = kMagic.size();
};

class FieldReader {
 public:
  explicit FieldReader(std::span<const std::byte> block) : rest_(block.subspan(kMagic.size())) {}
  template <typename Number>
  Number number() {
    Number value = 0;
    for (std::size_t i = 0; i < sizeof value; ++i) {
      value |= static_cast<Number>(std::to_integer<Number>(rest_[i]) << 8 * i);
    }
    rest_ = rest_.subspan(sizeof value);
    return value;
  }
  Digest digest() {
    std::array<std::uint8_t, Digest::kSize> bytes{};
    std::ranges::transform(rest_.first(bytes.size()), bytes.begin(),
                           [](std::byte byte) { return std::to_integer<std::uint8_t>(byte); });
    rest_ = rest_.subspan(bytes.size());
    return Digest(bytes);
  }
  // What is named in no field, up to the digest of all.
  std::span<const std::byte> unnamed() const { return rest_.first(rest_.size() - Digest::kSize); }

 private:
  std::span<const std::byte> rest_;
};

void put_digest(SegmentHead::Block& block) {
  const Digest digest = sha256(std::span(block).first(kDigestAt));
  std::memcpy(block.data() + kDigestAt, digest.bytes().data(), Digest::kSize);
}

void require_whole(std::span<const std::byte> block, std::string_view subject) {
  check(block.size() == kBlockBytes, "a head is one block");
  if (std::memcmp(block.data(), kMagic.data(), kMagic.size()) != 0) {
    fail(ErrorCode::corrupt, "{}: is no head of a segment", subject);
  }
  const Digest digest = sha256(block.first(kDigestAt));
  if (std::memcmp(block.data() + kDigestAt, digest.bytes().data(), Digest::kSize) != 0) {
    fail(ErrorCode::corrupt, "{}: a head of a segment, with other bytes than were written",
         subject);
  }
}

void require_at_most(std::uint64_t number, std::uint64_t most, std::string_view what,
                     std::string_view subject) {
  if (number > most) {
    fail(ErrorCode::corrupt, "{}: {}: {}, the limit is {}", subject, what, number, most);
  }
}

void check_numbers(const SegmentHead& head, std::string_view subject) {
  require_at_most(head.index_bytes, kMostIndexBytes, "bytes of the index", subject);
  require_at_most(head.frame_bytes, kMostIndexBytes, "bytes of the index's frame", subject);
  require_at_most(head.chunks, kMostChunks, "chunks", subject);
  if (head.first_block == 0) fail(ErrorCode::corrupt, "{}: begins before the file", subject);
  if ((head.number == 0) != (head.previous == Digest())) {
    fail(ErrorCode::corrupt, "{}: segment {} {} one before it", subject, head.number,
         head.number == 0 ? "names" : "names no");
  }
  (void)head.layout();
}

}  // namespace

SegmentHead::Block SegmentHead::to_block() const {
  Block block{};
  std::memcpy(block.data(), kMagic.data(), kMagic.size());
  FieldWriter fields(block);
  fields.number(kVersion);
  fields.number(number);
  for (const std::uint64_t value : {first_block, payload_bytes, frame_bytes, index_bytes, chunks}) {
    fields.number(value);
  }
  fields.number(std::uint32_t{parity.data});
  fields.number(std::uint32_t{parity.parity});
  fields.digest(index);
  fields.digest(previous);
  put_digest(block);
  return block;
}

SegmentHead SegmentHead::parse(std::span<const std::byte> block, std::string_view subject) {
  require_whole(block, subject);
  FieldReader fields(block);
  if (const auto version = fields.number<std::uint32_t>(); version != kVersion) {
    fail(ErrorCode::unsupported_version, "{}: version {} of the archive, expected {}", subject,
         version, kVersion);
  }
  SegmentHead head;
  head.number = fields.number<std::uint32_t>();
  for (std::uint64_t* value : {&head.first_block, &head.payload_bytes, &head.frame_bytes,
                               &head.index_bytes, &head.chunks}) {
    *value = fields.number<std::uint64_t>();
  }
  head.parity.data = fields.number<std::uint32_t>();
  head.parity.parity = fields.number<std::uint32_t>();
  head.index = fields.digest();
  head.previous = fields.digest();
  const auto unnamed = fields.unnamed();
  if (!std::ranges::all_of(unnamed, [](std::byte byte) { return byte == std::byte{0}; })) {
    fail(ErrorCode::corrupt, "{}: has bytes that version {} does not name", subject, kVersion);
  }
  check_numbers(head, subject);
  return head;
}

SegmentLayout SegmentHead::layout() const {
  constexpr std::string_view kSubject = "a segment's blocks";
  const auto behind = [&](std::uint64_t block, std::uint64_t count) {
    const std::uint64_t end = checked_add(block, count, kSubject);
    if (end > kMostBlocks) fail(ErrorCode::corrupt, "{}: {} are too many", kSubject, end);
    return end;
  };
  SegmentLayout layout;
  layout.head = first_block;
  layout.payload = behind(layout.head, 1);
  layout.index = behind(layout.payload, blocks_of(payload_bytes));
  layout.table = behind(layout.index, blocks_of(frame_bytes));
  layout.sums = behind(layout.table, blocks_of(checked_mul(chunks, kChunkEntryBytes, kSubject)));
  const bool none = parity == ParityShape();
  const std::uint64_t data = layout.protected_blocks();
  const std::uint64_t more = none ? 0 : ParityMap(parity, data).parity_blocks();
  const std::uint64_t sums = blocks_of(behind(data, more) * kSumBytes);
  layout.parity = behind(layout.sums, sums);
  layout.second_sums = behind(layout.parity, more);
  layout.tail = behind(layout.second_sums, sums);
  layout.end = behind(layout.tail, 1);
  return layout;
}

}  // namespace organ::archive
