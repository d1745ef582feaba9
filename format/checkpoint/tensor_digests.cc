// SPDX-License-Identifier: Apache-2.0
#include "format/checkpoint/tensor_digests.h"

#include <algorithm>

#include <fmt/core.h>

namespace organ::format {
namespace {

// A tensor in several shards is that of the last.
bool is_in_later_shard(const Checkpoint& checkpoint, std::size_t shard, std::string_view name) {
  const auto& shards = checkpoint.shards();
  return std::any_of(shards.begin() + static_cast<std::ptrdiff_t>(shard) + 1, shards.end(),
                     [&](const auto& later) { return later.file.header().find(name) != nullptr; });
}

std::uint64_t size_of_tensors(const Checkpoint& checkpoint) {
  std::uint64_t bytes = 0;
  for (const auto& shard : checkpoint.shards()) {
    for (const TensorInfo& tensor : shard.file.header().tensors) bytes += tensor.size;
  }
  return bytes;
}

}  // namespace

std::vector<TensorLine> tensor_lines(const Checkpoint& checkpoint, const Work& work) {
  const Work hashing = work.phase("hashing the model", size_of_tensors(checkpoint));
  std::vector<TensorLine> lines;
  for (std::size_t number = 0; number < checkpoint.shards().size(); ++number) {
    const auto& shard = checkpoint.shards()[number];
    const auto& header = shard.file.header();
    std::vector<HashRange> ranges;
    for (const auto& tensor : header.tensors) {
      ranges.push_back({shard.file.fd(), header.data_start + tensor.offset, tensor.size});
    }
    const auto digests = hash_ranges(ranges, shard.file.subject(), hashing);
    for (std::size_t i = 0; i < digests.size(); ++i) {
      const TensorInfo& tensor = header.tensors[i];
      if (is_in_later_shard(checkpoint, number, tensor.name)) continue;
      lines.push_back({&tensor, fmt::format("{} {} {} {}\n", tensor.name, to_string(tensor.dtype),
                                            to_string(tensor.shape), digests[i].to_string())});
    }
  }
  std::sort(lines.begin(), lines.end(),
            [](const TensorLine& a, const TensorLine& b) { return a.text < b.text; });
  return lines;
}

Digest weights_digest(std::span<const TensorLine> lines) {
  Sha256Hasher hasher;
  for (const TensorLine& line : lines) hasher.update(line.text);
  return hasher.finish();
}

}  // namespace organ::format
