// SPDX-License-Identifier: Apache-2.0
// Parity blocks that give lost blocks back: Reed–Solomon in GF(2^8) (schemas/archive.md, Parity),
// computed by ISA-L. Knows blocks and their numbers, no file; which blocks are lost is known from
// elsewhere (block_sums.h). One object a thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace organ::archive {

inline constexpr std::size_t kBlockBytes = 4096;

// `parity` blocks for each `data` blocks of a group: so many of a group may be lost. At most 255
// together; none of either: there is no parity.
struct ParityShape {
  unsigned data = 0, parity = 0;

  bool is_none() const { return parity == 0; }
  bool operator==(const ParityShape&) const = default;
};

// The shape for a share of parity, above 0 and at most 1 (of what is protected). Throws
// invalid_argument naming `subject`.
ParityShape parity_shape(double share, std::string_view subject);

// Where the blocks [0, blocks) of what is protected stand. A window is kGroups groups; blocks next
// to each other fall into different groups, so that a burst costs each group few. Pure numbers;
// `shape` has both counts.
class ParityMap {
 public:
  static constexpr std::uint64_t kGroups = 1024;  // of a window

  // Throws corrupt for a shape that cannot be, and where the numbers pass 2^64.
  ParityMap(ParityShape shape, std::uint64_t blocks);

  const ParityShape& shape() const { return shape_; }
  std::uint64_t blocks() const { return blocks_; }
  std::uint64_t parity_blocks() const { return parity_blocks_; }
  std::uint64_t windows() const { return windows_; }

  struct Window {
    std::uint64_t first = 0, blocks = 0;  // of what is protected
    std::uint64_t groups = 0;
    std::uint64_t first_parity = 0;  // of the parity blocks

    // Place of `group`, `index` of its data blocks: a block number; blocks() and beyond: a block of
    // zeros that is nowhere.
    std::uint64_t data(std::uint64_t group, std::uint64_t index) const {
      return index * groups + group < blocks ? first + index * groups + group : kNowhere;
    }
    std::uint64_t parity(std::uint64_t group, std::uint64_t row) const {
      return first_parity + row * groups + group;
    }
  };
  static constexpr std::uint64_t kNowhere = UINT64_MAX;
  Window window(std::uint64_t number) const;  // of windows()

 private:
  ParityShape shape_;
  std::uint64_t blocks_, windows_, parity_blocks_;
};

// Makes the parity of blocks that pass once, in order. Holds the parity of one window: shape.parity
// times 4 MiB.
class ParityWriter {
 public:
  // `write` gets the parity blocks in their order, a window at a time.
  using Write = std::function<void(std::span<const std::byte> blocks)>;
  ParityWriter(const ParityMap& map, Write write);

  // The next blocks, whole ones. With the last of map.blocks() the last parity is written.
  void add(std::span<const std::byte> blocks);

 private:
  void add_block(const std::byte* block);
  void end_window();

  ParityMap map_;
  Write write_;
  std::vector<unsigned char> tables_;  // ec_init_tables() of all rows and columns
  ParityMap::Window window_;
  std::uint64_t number_ = 0, done_ = 0;  // of the window; blocks of it
  std::vector<std::byte> parity_;
};

// Reads and writes what ParityRepair asks for, by block number.
struct BlockAccess {
  // Fills the whole block; called for blocks that are not lost.
  std::function<void(std::uint64_t block, std::span<std::byte> out)> read, read_parity;
  std::function<void(std::uint64_t block, std::span<const std::byte> bytes)> write;
};

// Numbers of blocks, ascending, each once.
struct LostBlocks {
  std::vector<std::uint64_t> data, parity;
};

// Computes the lost blocks of what is protected and writes them. Returns those whose group lost
// more blocks, parity included, than it has parity for: they are left as they are. A lost parity
// block is not written: ParityWriter makes it again. Throws what `access` throws.
std::vector<std::uint64_t> repair_blocks(const ParityMap& map, const LostBlocks& lost,
                                         const BlockAccess& access);

}  // namespace organ::archive
