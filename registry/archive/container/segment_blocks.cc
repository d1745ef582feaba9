// SPDX-License-Identifier: Apache-2.0
#include "registry/archive/container/segment_blocks.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "format/base/digest.h"
#include "format/base/fail.h"
#include "format/base/file.h"

namespace organ::archive {
namespace {

constexpr std::uint64_t kBlocksAtOnce = 256;

using Sum = std::uint64_t;

Sum sum_of(std::span<const std::byte> block) {
  Sum sum = 0;
  std::memcpy(&sum, sha256(block).bytes().data(), kSumBytes);
  return sum;
}

// Sums as they stand in the file, filled up to whole blocks.
std::vector<std::byte> bytes_of(const std::vector<Sum>& sums) {
  std::vector<std::byte> bytes(blocks_of(sums.size() * kSumBytes) * kBlockBytes);
  if (!sums.empty()) std::memcpy(bytes.data(), sums.data(), sums.size() * kSumBytes);
  return bytes;
}

std::uint64_t offset_of(std::uint64_t block) { return block * kBlockBytes; }

// Calls `see(bytes)` with the blocks [first, first + count) of the file, several at a time.
template <typename See>
void read_blocks(int fd, std::uint64_t first, std::uint64_t count, std::string_view subject,
                 const Work& work, const See& see) {
  std::vector<std::byte> buffer(std::min(count, kBlocksAtOnce) * kBlockBytes);
  for (std::uint64_t done = 0; done < count;) {
    const std::uint64_t part = std::min(count - done, kBlocksAtOnce);
    const auto bytes = std::span(buffer).first(part * kBlockBytes);
    read_at(fd, offset_of(first + done), bytes, subject);
    see(std::span<const std::byte>(bytes));
    work.advance(bytes.size());
    done += part;
  }
}

// The same one by one, of a medium that may not give all: nullopt for a block that it does not.
template <typename See>
void try_blocks(int fd, std::uint64_t first, std::uint64_t count, std::string_view subject,
                const Work& work, const See& see) {
  std::vector<std::byte> buffer(kBlockBytes);
  for (std::uint64_t i = 0; i < count; ++i) {
    std::optional<std::span<const std::byte>> block = buffer;
    try {
      read_at(fd, offset_of(first + i), buffer, subject);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::io && error.code() != ErrorCode::corrupt) throw;
      block.reset();
    }
    see(i, block);
    work.advance(kBlockBytes);
  }
}

void add_sums(std::span<const std::byte> blocks, std::vector<Sum>& sums) {
  for (std::size_t at = 0; at < blocks.size(); at += kBlockBytes) {
    sums.push_back(sum_of(blocks.subspan(at, kBlockBytes)));
  }
}

// Both copies of the sums, as far as the file gives them.
class StoredSums {
 public:
  StoredSums(int fd, const SegmentLayout& layout, std::string_view subject)
      : count_(layout.parity - layout.sums),
        copies_{read(fd, layout.sums, subject), read(fd, layout.second_sums, subject)} {
    for (std::uint64_t i = 0; i < count_; ++i) {
      const auto& [first, second] = copies_;
      const bool agree = first.there[i] && second.there[i] &&
                         std::memcmp(first.bytes.data() + offset_of(i),
                                     second.bytes.data() + offset_of(i), kBlockBytes) == 0;
      if (agree) continue;
      damaged_.push_back(layout.sums + i);
      damaged_.push_back(layout.second_sums + i);
    }
    std::ranges::sort(damaged_);
  }

  // Of the protected blocks, then of the parity.
  bool knows(std::uint64_t number, Sum sum) const {
    return std::ranges::any_of(copies_, [&](const Copy& copy) {
      Sum stored = 0;
      std::memcpy(&stored, copy.bytes.data() + number * kSumBytes, kSumBytes);
      return copy.there[number * kSumBytes / kBlockBytes] && stored == sum;
    });
  }
  const std::vector<std::uint64_t>& damaged() const { return damaged_; }

 private:
  struct Copy {
    std::vector<std::byte> bytes;
    std::vector<bool> there;  // of each block
  };
  Copy read(int fd, std::uint64_t first, std::string_view subject) const {
    Copy copy{std::vector<std::byte>(count_ * kBlockBytes), std::vector<bool>(count_)};
    try_blocks(fd, first, count_, subject, {}, [&](std::uint64_t i, const auto& block) {
      copy.there[i] = block.has_value();
      if (block) std::ranges::copy(*block, copy.bytes.begin() + static_cast<long>(offset_of(i)));
    });
    return copy;
  }

  std::uint64_t count_;
  std::array<Copy, 2> copies_;
  std::vector<std::uint64_t> damaged_;
};

}  // namespace

void write_protection(int fd, const SegmentHead& head, std::string_view subject, const Work& work) {
  const SegmentLayout layout = head.layout();
  std::vector<Sum> sums, of_parity;
  std::optional<ParityWriter> parity;
  std::uint64_t parity_at = offset_of(layout.parity);
  if (!head.parity.is_none()) {
    parity.emplace(ParityMap(head.parity, layout.protected_blocks()),
                   [&](std::span<const std::byte> blocks) {
                     write_at(fd, parity_at, blocks, subject);
                     parity_at += blocks.size();
                     add_sums(blocks, of_parity);
                   });
  }
  read_blocks(fd, layout.payload, layout.protected_blocks(), subject, work,
              [&](std::span<const std::byte> blocks) {
                add_sums(blocks, sums);
                if (parity) parity->add(blocks);
              });
  sums.insert(sums.end(), of_parity.begin(), of_parity.end());
  const auto bytes = bytes_of(sums);
  write_at(fd, offset_of(layout.sums), bytes, subject);
  write_at(fd, offset_of(layout.second_sums), bytes, subject);
}

SegmentDamage find_damage(int fd, const SegmentHead& head, std::string_view subject,
                          const Work& work) {
  const SegmentLayout layout = head.layout();
  const StoredSums sums(fd, layout, subject);
  SegmentDamage damage{.blocks = {}, .sums = sums.damaged()};
  const auto look = [&](std::uint64_t first, std::uint64_t count, std::uint64_t first_sum,
                        std::vector<std::uint64_t>& lost) {
    try_blocks(fd, first, count, subject, work, [&](std::uint64_t i, const auto& block) {
      if (!block || !sums.knows(first_sum + i, sum_of(*block))) lost.push_back(i);
    });
  };
  look(layout.payload, layout.protected_blocks(), 0, damage.blocks.data);
  look(layout.parity, layout.parity_blocks(), layout.protected_blocks(), damage.blocks.parity);
  return damage;
}

std::vector<std::uint64_t> repair_segment(int fd, const SegmentHead& head,
                                          const SegmentDamage& damage, std::string_view subject,
                                          const Work& work) {
  const SegmentLayout layout = head.layout();
  std::vector<std::uint64_t> left = damage.blocks.data;
  if (!head.parity.is_none()) {
    left = repair_blocks(ParityMap(head.parity, layout.protected_blocks()), damage.blocks,
                         {.read =
                              [&](std::uint64_t block, std::span<std::byte> out) {
                                read_at(fd, offset_of(layout.payload + block), out, subject);
                              },
                          .read_parity =
                              [&](std::uint64_t block, std::span<std::byte> out) {
                                read_at(fd, offset_of(layout.parity + block), out, subject);
                              },
                          .write =
                              [&](std::uint64_t block, std::span<const std::byte> bytes) {
                                write_at(fd, offset_of(layout.payload + block), bytes, subject);
                              }});
  }
  if (left.empty()) write_protection(fd, head, subject, work);
  return left;
}

}  // namespace organ::archive
