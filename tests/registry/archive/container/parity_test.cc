// SPDX-License-Identifier: Apache-2.0
#include "registry/archive/container/parity.h"

#include <algorithm>
#include <random>
#include <set>

#include <doctest/doctest.h>

#include "tests/support/support.h"

namespace organ::archive {
namespace {

using Bytes = std::vector<std::byte>;

std::span<std::byte> block_of(Bytes& bytes, std::uint64_t block) {
  return std::span(bytes).subspan(block * kBlockBytes, kBlockBytes);
}

// Blocks with their parity, some of which are lost.
class Medium {
 public:
  Medium(ParityShape shape, std::uint64_t blocks, std::uint64_t seed) : map_(shape, blocks) {
    std::mt19937_64 random(seed);
    data_.resize(blocks * kBlockBytes);
    for (std::size_t i = 0; i < data_.size(); i += 61) data_[i] = static_cast<std::byte>(random());
    ParityWriter writer(map_, [&](std::span<const std::byte> bytes) {
      parity_.insert(parity_.end(), bytes.begin(), bytes.end());
    });
    for (std::uint64_t at = 0; at < blocks;) {  // in gulps of any size
      const std::uint64_t count = std::min(blocks - at, 1 + random() % 7);
      writer.add(std::span(data_).subspan(at * kBlockBytes, count * kBlockBytes));
      at += count;
    }
    whole_ = data_;
  }

  const ParityMap& map() const { return map_; }
  std::uint64_t parity_blocks() const { return parity_.size() / kBlockBytes; }
  const Bytes& parity() const { return parity_; }

  // What could not be given back; all else must be what it was.
  std::vector<std::uint64_t> repair(const LostBlocks& lost) {
    for (const std::uint64_t block : lost.data)
      std::ranges::fill(block_of(data_, block), std::byte{7});
    const auto is_lost = [](const std::vector<std::uint64_t>& all, std::uint64_t block) {
      return std::ranges::binary_search(all, block);
    };
    const auto left =
        repair_blocks(map_, lost,
                      {.read =
                           [&](std::uint64_t block, std::span<std::byte> out) {
                             REQUIRE_FALSE(is_lost(lost.data, block));
                             std::ranges::copy(block_of(data_, block), out.begin());
                           },
                       .read_parity =
                           [&](std::uint64_t block, std::span<std::byte> out) {
                             REQUIRE_FALSE(is_lost(lost.parity, block));
                             std::ranges::copy(block_of(parity_, block), out.begin());
                           },
                       .write =
                           [&](std::uint64_t block, std::span<const std::byte> bytes) {
                             REQUIRE(is_lost(lost.data, block));
                             std::ranges::copy(bytes, block_of(data_, block).begin());
                           }});
    for (std::uint64_t block = 0; block < map_.blocks(); ++block) {
      const bool same = std::ranges::equal(block_of(data_, block), block_of(whole_, block));
      if (same == is_lost(left, block)) FAIL("block " << block);
    }
    return left;
  }

 private:
  ParityMap map_;
  Bytes data_, parity_, whole_;
};

LostBlocks burst(std::uint64_t first, std::uint64_t count) {
  LostBlocks lost;
  for (std::uint64_t i = 0; i < count; ++i) lost.data.push_back(first + i);
  return lost;
}

std::vector<std::uint64_t> some_of(std::uint64_t blocks, std::uint64_t count,
                                   std::mt19937_64& random) {
  std::set<std::uint64_t> chosen;
  while (chosen.size() < std::min(count, blocks)) chosen.insert(random() % blocks);
  return {chosen.begin(), chosen.end()};
}

}  // namespace

TEST_CASE("parity: as many lost blocks of a group as it has parity come back, whichever they are") {
  std::mt19937_64 random(1);
  for (const ParityShape shape : {ParityShape{1, 1}, ParityShape{4, 3}, ParityShape{232, 23},
                                  ParityShape{254, 1}, ParityShape{128, 127}}) {
    for (const std::uint64_t blocks : {1, 2, 3, 17, 231, 232, 233, 700}) {
      CAPTURE(shape.data);
      CAPTURE(blocks);
      Medium medium(shape, blocks, random());
      CHECK(medium.parity_blocks() == medium.map().parity_blocks());
      for (int i = 0; i < 4; ++i) {
        // Any `parity` of all blocks are at most so many of one group.
        LostBlocks lost;
        const std::uint64_t of_data = 1 + random() % shape.parity;
        lost.data = some_of(blocks, of_data, random);
        lost.parity = some_of(medium.parity_blocks(), shape.parity - of_data, random);
        CHECK(medium.repair(lost).empty());
      }
    }
  }
}

TEST_CASE("parity: a burst costs each group few") {
  const ParityShape shape{5, 2};
  const std::uint64_t full = shape.data * ParityMap::kGroups;
  Medium medium(shape, full + 777, 2);
  CHECK(medium.map().windows() == 2);
  for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{1000}, full - 2 * 1024}) {
    CHECK(medium.repair(burst(first, 2 * ParityMap::kGroups)).empty());
  }
  CHECK(medium.repair(burst(full - 2048, 2048 + 2 * medium.map().window(1).groups)).empty());
  CHECK(medium.repair(burst(full, 2 * medium.map().window(1).groups)).empty());
}

TEST_CASE("parity: what lost too much is named and left alone, the rest comes back") {
  const ParityShape shape{5, 2};
  Medium medium(shape, 100, 3);
  const std::uint64_t groups = medium.map().window(0).groups;
  LostBlocks lost{{0, 1, groups, 2 * groups, 2 * groups + 3}, {}};
  CHECK(medium.repair(lost) == std::vector<std::uint64_t>{0, groups, 2 * groups});
  Medium other(shape, 100, 4);
  lost = {{0, groups}, {medium.map().window(0).parity(0, 1)}};
  CHECK(other.repair(lost) == std::vector<std::uint64_t>{0, groups});
}

TEST_CASE("parity: one row is what the document says") {
  // Of two blocks 1 / (2 + 0) and 1 / (2 + 1) of their bytes, in GF(2^8) modulo 0x11d.
  const auto times = [](unsigned a, unsigned b) {
    unsigned product = 0;
    for (; b != 0; b >>= 1, a = a << 1 ^ (a & 0x80 ? 0x11d : 0)) {
      if (b & 1) product ^= a;
    }
    return product;
  };
  const auto inverse = [&](unsigned a) {
    for (unsigned b = 1; b < 256; ++b) {
      if (times(a, b) == 1) return b;
    }
    return 0u;
  };
  Bytes data(2 * kBlockBytes), parity;
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 7 + i / 256);
  ParityWriter writer(ParityMap({2, 1}, 2), [&](std::span<const std::byte> bytes) {
    parity.assign(bytes.begin(), bytes.end());
  });
  writer.add(data);
  REQUIRE(parity.size() == kBlockBytes);
  for (std::size_t i = 0; i < kBlockBytes; ++i) {
    const auto expected = times(inverse(2 ^ 0), std::to_integer<unsigned>(data[i])) ^
                          times(inverse(2 ^ 1), std::to_integer<unsigned>(data[kBlockBytes + i]));
    REQUIRE(std::to_integer<unsigned>(parity[i]) == expected);
  }
}

TEST_CASE("parity: shapes that cannot be are refused") {
  for (const double share : {0.0, -0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK(test::error_of([&] {
            parity_shape(share, "--parity");
          }).starts_with("invalid_argument: --parity: "));
  }
  CHECK(parity_shape(0.1, "x") == ParityShape{232, 23});
  CHECK(parity_shape(1, "x") == ParityShape{128, 127});
  CHECK(parity_shape(0.0001, "x") == ParityShape{254, 1});
  for (const ParityShape shape : {ParityShape{0, 1}, ParityShape{1, 0}, ParityShape{255, 1},
                                  ParityShape{1, 255}, ParityShape{0xffffffff, 2}}) {
    CHECK(test::error_of([&] { ParityMap(shape, 1); }).starts_with("corrupt: parity: "));
  }
  CHECK(test::error_of([] { ParityMap({1, 200}, UINT64_MAX); }).starts_with("corrupt"));
  CHECK(ParityMap({4, 1}, 0).parity_blocks() == 0);
}

}  // namespace organ::archive
