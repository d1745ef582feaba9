// SPDX-License-Identifier: Apache-2.0
#include "format/checkpoint/tensor_digests.h"

#include <algorithm>

#include <fmt/core.h>

namespace organ::format {

std::vector<std::string> tensor_lines(const Checkpoint& checkpoint,
                                      const std::function<bool(std::string_view)>& wanted,
                                      const Work& work) {
  std::vector<std::string> lines;
  for (const auto& shard : checkpoint.shards()) {
    const auto& header = shard.file.header();
    std::vector<const TensorInfo*> tensors;
    std::vector<HashRange> ranges;
    for (const auto& tensor : header.tensors) {
      if (!wanted(tensor.name)) continue;
      tensors.push_back(&tensor);
      ranges.push_back({shard.file.fd(), header.data_start + tensor.offset, tensor.size});
    }
    const auto digests = hash_ranges(ranges, shard.file.subject(), work);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      lines.push_back(fmt::format("{} {} {} {}\n", tensors[i]->name, to_string(tensors[i]->dtype),
                                  to_string(tensors[i]->shape), digests[i].to_string()));
    }
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

Digest weights_digest(const Checkpoint& checkpoint, const Work& work) {
  Sha256Hasher hasher;
  for (const auto& line : tensor_lines(
           checkpoint, [](auto) { return true; }, work)) {
    hasher.update(line);
  }
  return hasher.finish();
}

}  // namespace organ::format
