// SPDX-License-Identifier: Apache-2.0
#include "registry/archive/container/parity.h"

#include <isa-l/erasure_code.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "format/base/fail.h"

namespace organ::archive {
namespace {

constexpr unsigned kMostOfGroup = 255;
constexpr std::size_t kTableBytes = 32;  // of a coefficient, as ISA-L wants them

// Of the Cauchy matrix 1 / (x + y) with x = data + row and y = column, all of them different: every
// square part of it can be inverted.
unsigned char coefficient(const ParityShape& shape, unsigned row, unsigned column) {
  return gf_inv(static_cast<unsigned char>((shape.data + row) ^ column));
}

std::vector<unsigned char> tables_of(const ParityShape& shape, std::span<const unsigned> rows) {
  std::vector<unsigned char> matrix;
  for (const unsigned row : rows) {
    for (unsigned i = 0; i < shape.data; ++i) matrix.push_back(coefficient(shape, row, i));
  }
  std::vector<unsigned char> tables(kTableBytes * matrix.size());
  ec_init_tables(static_cast<int>(shape.data), static_cast<int>(rows.size()), matrix.data(),
                 tables.data());
  return tables;
}

std::vector<unsigned> first_rows(unsigned count) {
  std::vector<unsigned> rows(count);
  for (unsigned i = 0; i < count; ++i) rows[i] = i;
  return rows;
}

// ISA-L takes what it reads as it takes what it writes.
unsigned char* bytes_of(const std::byte* block) {
  return reinterpret_cast<unsigned char*>(const_cast<std::byte*>(block));
}

// Blocks in a row, and where each begins.
class Blocks {
 public:
  explicit Blocks(std::size_t count) : bytes_(count * kBlockBytes), at_(count) {
    for (std::size_t i = 0; i < count; ++i) at_[i] = bytes_of(bytes_.data() + i * kBlockBytes);
  }
  std::span<std::byte> operator[](std::size_t i) {
    return std::span(bytes_).subspan(i * kBlockBytes, kBlockBytes);
  }
  unsigned char** pointers() { return at_.data(); }
  int count() const { return static_cast<int>(at_.size()); }

 private:
  std::vector<std::byte> bytes_;
  std::vector<unsigned char*> at_;
};

// What one group lost: indices of its data blocks, rows of its parity.
struct LostOfGroup {
  std::vector<unsigned> data, parity;
};
using LostGroups = std::map<std::pair<std::uint64_t, std::uint64_t>, LostOfGroup>;

// By window and group.
LostGroups grouped(const ParityMap& map, const LostBlocks& lost) {
  LostGroups groups;
  std::uint64_t number = 0;
  const auto go_to = [&](const auto& is_behind) {
    while (number + 1 < map.windows() && is_behind(map.window(number + 1))) ++number;
    return map.window(number);
  };
  for (const std::uint64_t block : lost.data) {
    check(block < map.blocks(), "a block that is not protected");
    const auto window = go_to([&](const auto& next) { return next.first <= block; });
    const std::uint64_t at = block - window.first;
    groups[{number, at % window.groups}].data.push_back(static_cast<unsigned>(at / window.groups));
  }
  number = 0;
  for (const std::uint64_t block : lost.parity) {
    check(block < map.parity_blocks(), "a parity block that is not there");
    const auto window = go_to([&](const auto& next) { return next.first_parity <= block; });
    const std::uint64_t at = block - window.first_parity;
    const auto group = groups.find({number, at % window.groups});
    if (group == groups.end()) continue;  // nothing else of it is lost
    group->second.parity.push_back(static_cast<unsigned>(at / window.groups));
  }
  return groups;
}

// The first rows of parity that are there, as many as data blocks are lost; fewer where it lacks.
std::vector<unsigned> rows_for(const ParityShape& shape, const LostOfGroup& lost) {
  std::vector<unsigned> rows;
  for (unsigned row = 0; row < shape.parity && rows.size() < lost.data.size(); ++row) {
    if (std::ranges::find(lost.parity, row) == lost.parity.end()) rows.push_back(row);
  }
  return rows;
}

// What the parity of the lost blocks alone would be: the parity less that of the others.
Blocks remainders(const ParityMap& map, const ParityMap::Window& window, std::uint64_t group,
                  const LostOfGroup& lost, std::span<const unsigned> rows,
                  const BlockAccess& access) {
  const ParityShape& shape = map.shape();
  Blocks data(shape.data), parity(rows.size()), other(rows.size());
  for (unsigned i = 0; i < shape.data; ++i) {
    const std::uint64_t block = window.data(group, i);
    if (block == ParityMap::kNowhere || std::ranges::find(lost.data, i) != lost.data.end()) {
      continue;  // zeros
    }
    access.read(block, data[i]);
  }
  auto tables = tables_of(shape, rows);
  ec_encode_data(kBlockBytes, data.count(), parity.count(), tables.data(), data.pointers(),
                 parity.pointers());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    access.read_parity(window.parity(group, rows[r]), other[r]);
    std::ranges::transform(parity[r], other[r], parity[r].begin(), std::bit_xor<>());
  }
  return parity;
}

void solve(const ParityShape& shape, const LostOfGroup& lost, std::span<const unsigned> rows,
           Blocks& remainders, Blocks& found) {
  const int count = remainders.count();
  std::vector<unsigned char> matrix, inverse(rows.size() * rows.size());
  for (const unsigned row : rows) {
    for (const unsigned index : lost.data) matrix.push_back(coefficient(shape, row, index));
  }
  check(gf_invert_matrix(matrix.data(), inverse.data(), count) == 0, "a Cauchy matrix inverts");
  std::vector<unsigned char> tables(kTableBytes * inverse.size());
  ec_init_tables(count, count, inverse.data(), tables.data());
  ec_encode_data(kBlockBytes, count, count, tables.data(), remainders.pointers(), found.pointers());
}

}  // namespace

ParityShape parity_shape(double share, std::string_view subject) {
  if (!(share > 0 && share <= 1)) {
    fail(ErrorCode::invalid_argument, "{}: {} is out of range, expected more than 0 and at most 1",
         subject, share);
  }
  const auto data = static_cast<unsigned>(std::lround(kMostOfGroup / (1 + share)));
  const unsigned kept = std::min(data, kMostOfGroup - 1);
  return {kept, kMostOfGroup - kept};
}

ParityMap::ParityMap(ParityShape shape, std::uint64_t blocks) : shape_(shape), blocks_(blocks) {
  if (shape.data == 0 || shape.parity == 0 || shape.data > kMostOfGroup ||
      shape.parity > kMostOfGroup - shape.data) {
    fail(ErrorCode::corrupt, "parity: {} of {} blocks, expected 1 or more and at most {} together",
         shape.parity, shape.data, kMostOfGroup);
  }
  const std::uint64_t full = shape.data * kGroups;
  windows_ = blocks / full + (blocks % full != 0 ? 1 : 0);
  const std::uint64_t left = blocks % full;
  const std::uint64_t groups =
      checked_add(blocks / full * kGroups, left / shape.data + (left % shape.data != 0 ? 1 : 0),
                  "parity blocks");
  parity_blocks_ = checked_mul(groups, shape.parity, "parity blocks");
}

ParityMap::Window ParityMap::window(std::uint64_t number) const {
  check(number < windows_, "a window that is not there");
  const std::uint64_t full = shape_.data * kGroups;
  Window window;
  window.first = number * full;
  window.blocks = std::min(full, blocks_ - window.first);
  window.groups = window.blocks / shape_.data + (window.blocks % shape_.data != 0 ? 1 : 0);
  window.first_parity = number * kGroups * shape_.parity;
  return window;
}

ParityWriter::ParityWriter(const ParityMap& map, Write write)
    : map_(map),
      write_(std::move(write)),
      tables_(tables_of(map.shape(), first_rows(map.shape().parity))) {
  if (map_.windows() > 0) {
    window_ = map_.window(0);
    parity_.resize(window_.groups * map_.shape().parity * kBlockBytes);
  }
}

void ParityWriter::add(std::span<const std::byte> blocks) {
  check(blocks.size() % kBlockBytes == 0, "whole blocks are protected");
  for (std::size_t at = 0; at < blocks.size(); at += kBlockBytes) add_block(blocks.data() + at);
}

void ParityWriter::add_block(const std::byte* block) {
  check(number_ < map_.windows(), "more blocks than were announced");
  const ParityShape& shape = map_.shape();
  const std::uint64_t group = done_ % window_.groups;
  std::vector<unsigned char*> rows(shape.parity);
  for (unsigned row = 0; row < shape.parity; ++row) {
    rows[row] = bytes_of(parity_.data() + (row * window_.groups + group) * kBlockBytes);
  }
  ec_encode_data_update(kBlockBytes, static_cast<int>(shape.data), static_cast<int>(shape.parity),
                        static_cast<int>(done_ / window_.groups), tables_.data(), bytes_of(block),
                        rows.data());
  if (++done_ == window_.blocks) end_window();
}

void ParityWriter::end_window() {
  write_(parity_);
  done_ = 0;
  if (++number_ == map_.windows()) return;
  window_ = map_.window(number_);
  parity_.assign(window_.groups * map_.shape().parity * kBlockBytes, std::byte{0});
}

std::vector<std::uint64_t> repair_blocks(const ParityMap& map, const LostBlocks& lost,
                                         const BlockAccess& access) {
  std::vector<std::uint64_t> left;
  for (const auto& [place, of_group] : grouped(map, lost)) {
    const auto& [number, group] = place;
    const ParityMap::Window window = map.window(number);
    const auto rows = rows_for(map.shape(), of_group);
    if (rows.size() < of_group.data.size()) {
      for (const unsigned index : of_group.data) left.push_back(window.data(group, index));
      continue;
    }
    Blocks rest = remainders(map, window, group, of_group, rows, access);
    Blocks found(rows.size());
    solve(map.shape(), of_group, rows, rest, found);
    for (std::size_t i = 0; i < of_group.data.size(); ++i) {
      access.write(window.data(group, of_group.data[i]), found[i]);
    }
  }
  std::ranges::sort(left);
  return left;
}

}  // namespace organ::archive
