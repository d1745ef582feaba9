// SPDX-License-Identifier: Apache-2.0
// Heads by their bytes; and a segment whose blocks are cut, swapped and zeroed.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>
#include <random>

#include <doctest/doctest.h>

#include "format/base/file.h"
#include "registry/archive/container/segment_blocks.h"
#include "registry/archive/container/segment_head.h"
#include "tests/support/support.h"

namespace organ::archive {
namespace {

SegmentHead some_head() {
  return {.number = 2,
          .first_block = 17,
          .payload_bytes = 100'000,
          .frame_bytes = 5'000,
          .index_bytes = 20'000,
          .chunks = 300,
          .parity = {8, 2},
          .index = sha256("index"),
          .previous = sha256("head")};
}

std::string refusal(std::span<const std::byte> block) {
  return test::error_of([&] { SegmentHead::parse(block, "a.organ"); });
}

// With its digest made anew.
SegmentHead::Block with(SegmentHead::Block block, std::size_t at, std::uint8_t value) {
  block[at] = static_cast<std::byte>(value);
  const Digest digest = sha256(std::span(block).first(kBlockBytes - Digest::kSize));
  std::ranges::transform(digest.bytes(), block.end() - Digest::kSize,
                         [](std::uint8_t byte) { return static_cast<std::byte>(byte); });
  return block;
}

// A file with one segment whose payload is random.
class Segment {
 public:
  explicit Segment(ParityShape shape, std::uint64_t payload_bytes = 30 * kBlockBytes - 7) {
    head.payload_bytes = payload_bytes;
    head.frame_bytes = 3'000;
    head.chunks = 171;
    head.parity = shape;
    layout = head.layout();
    std::mt19937_64 random(shape.data);
    std::string bytes(layout.end * kBlockBytes, '\0');
    const auto begin = bytes.begin() + static_cast<long>(layout.payload * kBlockBytes);
    std::generate(begin, begin + static_cast<long>(layout.protected_blocks() * kBlockBytes),
                  [&] { return static_cast<char>(random()); });
    write_file(path, bytes);
    write_protection(fd().get(), head, "a.organ", {});
    whole = read();
  }

  UniqueFd fd() const { return UniqueFd(::open(path.c_str(), O_RDWR | O_CLOEXEC)); }
  std::string read() const { return read_file(path, 1 << 30); }
  SegmentDamage damage() const { return find_damage(fd().get(), head, "a.organ", {}); }
  std::vector<std::uint64_t> repair() const {
    return repair_segment(fd().get(), head, damage(), "a.organ", {});
  }
  // Whether everything but head and tail is what it was.
  bool is_whole() const {
    const auto from = layout.payload * kBlockBytes,
               size = (layout.tail - layout.payload) * kBlockBytes;
    const std::string now = read();
    return now.size() >= from + size && now.compare(from, size, whole, from, size) == 0;
  }

  TempFolder folder = test::scratch();
  std::filesystem::path path = folder.path() / "a.organ";
  SegmentHead head;
  SegmentLayout layout;
  std::string whole;
};

std::string block_of(const std::string& bytes, std::uint64_t block) {
  return bytes.substr(block * kBlockBytes, kBlockBytes);
}

void put_block(const Segment& segment, std::uint64_t block, const std::string& bytes) {
  write_at(segment.fd().get(), block * kBlockBytes, std::as_bytes(std::span(bytes)), "a.organ");
}

}  // namespace

TEST_CASE("segment head: what is written is read, and every changed byte is refused") {
  const SegmentHead head = some_head();
  const SegmentHead::Block block = head.to_block();
  CHECK(SegmentHead::parse(block, "a.organ") == head);
  SegmentHead first = head;
  first.number = 0;
  first.previous = Digest();
  CHECK(SegmentHead::parse(first.to_block(), "a.organ") == first);
  for (std::size_t at = 0; at < kBlockBytes; ++at) {
    SegmentHead::Block changed = block;
    changed[at] ^= std::byte{16};
    if (!refusal(changed).starts_with("corrupt: a.organ: ")) FAIL("byte " << at);
  }
}

TEST_CASE("segment head: numbers that cannot be are refused, whoever made the digest") {
  const SegmentHead::Block block = some_head().to_block();
  CHECK(refusal(with(block, 8, 2)) ==
        "unsupported_version: a.organ: version 2 of the archive, expected 1");
  CHECK(refusal(with(block, 12, 0)) == "corrupt: a.organ: segment 0 names one before it");
  CHECK(refusal(with(block, 200, 1)).find("bytes that version 1 does not name") !=
        std::string::npos);
  CHECK(refusal(with(block, 56, 0)).starts_with("corrupt: parity: "));  // no data in a group
  CHECK(refusal(with(block, 61, 1)).starts_with("corrupt: parity: "));  // 258 of parity
  CHECK(refusal(with(block, 31, 0x80)).starts_with("corrupt: "));       // 2^63 bytes of payload
  CHECK(refusal(with(block, 31, 0x7f)).starts_with("corrupt: "));       // which need more blocks
  CHECK(refusal(with(block, 37, 1)).starts_with("corrupt: a.organ: bytes of the index's frame"));
  CHECK(refusal(with(block, 44, 1)).starts_with("corrupt: a.organ: bytes of the index: "));
  CHECK(refusal(with(block, 52, 1)).starts_with("corrupt: a.organ: chunks: "));
}

TEST_CASE("segment head: parts stand one behind the other") {
  const SegmentLayout layout = some_head().layout();
  CHECK(layout == SegmentLayout{.head = 17,
                                .payload = 18,
                                .index = 43,
                                .table = 45,
                                .sums = 47,
                                .parity = 48,
                                .second_sums = 56,
                                .tail = 57,
                                .end = 58});
  SegmentHead bare;
  CHECK(bare.layout().end == 3);  // head and tail, nothing in between
  bare.parity = {8, 2};
  CHECK(bare.layout().end == 3);
}

TEST_CASE("segment: each block that is zeroed, swapped or flipped is found and comes back") {
  for (const ParityShape shape : {ParityShape{8, 2}, ParityShape{60, 3}}) {
    const Segment segment(shape);
    REQUIRE(segment.damage().is_none());
    CHECK(segment.repair().empty());
    const auto& layout = segment.layout;
    for (std::uint64_t block = layout.payload; block < layout.tail; ++block) {
      CAPTURE(block);
      const std::string was = block_of(segment.whole, block);
      std::string flipped = was;
      flipped[block % kBlockBytes] ^= 1;
      for (const std::string& other :
           {std::string(kBlockBytes, '\0'), flipped,
            block_of(segment.whole, block + 1 < layout.tail ? block + 1 : block - 1)}) {
        if (other == was) continue;
        put_block(segment, block, other);
        const SegmentDamage damage = segment.damage();
        if (block < layout.sums) {
          CHECK(damage.blocks.data == std::vector{block - layout.payload});
        } else if (block >= layout.parity && block < layout.second_sums) {
          CHECK(damage.blocks.parity == std::vector{block - layout.parity});
        } else {
          CHECK(std::ranges::find(damage.sums, block) != damage.sums.end());
          CHECK(damage.blocks.data.empty());
        }
        REQUIRE(segment.repair().empty());
        REQUIRE(segment.is_whole());
      }
    }
  }
}

TEST_CASE("segment: a file that is cut comes back as far as its parity reaches") {
  for (const bool with_parity : {true, false}) {
    const Segment segment(with_parity ? ParityShape{8, 2} : ParityShape{});
    for (std::uint64_t block = segment.layout.tail; block-- > segment.layout.payload;) {
      CAPTURE(block);
      write_file(segment.path, segment.whole.substr(0, block * kBlockBytes + 100));
      const SegmentDamage damage = segment.damage();
      CHECK_FALSE(damage.is_none());
      const auto left = segment.repair();
      // One copy of the sums is left; with it what they are of is whole, all parity can be made
      // again.
      CHECK(left.empty() == (block >= segment.layout.parity));
      CHECK(segment.is_whole() == left.empty());
    }
  }
}

TEST_CASE("segment: sums that both are lost cost no more than the blocks they are of") {
  const Segment segment(ParityShape{8, 7});
  for (const std::uint64_t block : {segment.layout.sums, segment.layout.second_sums}) {
    put_block(segment, block, std::string(kBlockBytes, '\x55'));
  }
  const SegmentDamage damage = segment.damage();
  CHECK(damage.blocks.data.size() == segment.layout.protected_blocks());
  CHECK_FALSE(segment.repair().empty());  // all of them, too many; and nothing is written
  std::string now = segment.read();
  CHECK(now.substr(0, segment.layout.sums * kBlockBytes) ==
        segment.whole.substr(0, segment.layout.sums * kBlockBytes));
}

}  // namespace organ::archive
