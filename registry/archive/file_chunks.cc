// SPDX-License-Identifier: Apache-2.0
#include "registry/archive/file_chunks.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "format/base/fail.h"
#include "registry/archive/codec/chunk_codec.h"

namespace organ::archive {
namespace {

class Cutter {
 public:
  void cut(std::uint64_t end, const ElementType& type, std::optional<std::uint64_t> base_offset) {
    while (at_ < end) {
      const auto size = static_cast<std::uint32_t>(std::min<std::uint64_t>(kMaxChunk, end - at_));
      chunks_.push_back({at_, size, type, base_offset});
      at_ += size;
      if (base_offset) *base_offset += size;
    }
  }
  std::uint64_t at() const { return at_; }
  std::vector<FileChunk> take() { return std::move(chunks_); }

 private:
  std::uint64_t at_ = 0;
  std::vector<FileChunk> chunks_;
};

using TensorsByName = std::map<std::string_view, const format::TensorInfo*>;

TensorsByName by_name(const FileLayout* file) {
  TensorsByName tensors;
  if (file == nullptr) return tensors;
  for (const format::TensorInfo& tensor : file->tensors) tensors.emplace(tensor.name, &tensor);
  return tensors;
}

}  // namespace

std::vector<FileChunk> cut_file(const FileLayout& file, const FileLayout* base) {
  const TensorsByName earlier = by_name(base);
  Cutter cutter;
  for (const format::TensorInfo& tensor : file.tensors) {
    const std::uint64_t begin = file.data_start + tensor.offset;
    check(begin >= cutter.at() && begin + tensor.size <= file.size, "tensors out of order");
    cutter.cut(begin, {}, std::nullopt);
    std::optional<std::uint64_t> base_offset;
    const auto same = earlier.find(tensor.name);
    if (same != earlier.end() && same->second->dtype == tensor.dtype &&
        same->second->shape == tensor.shape) {
      base_offset = base->data_start + same->second->offset;
    }
    cutter.cut(begin + tensor.size, element_type(tensor.dtype), base_offset);
  }
  cutter.cut(file.size, {}, std::nullopt);
  return cutter.take();
}

}  // namespace organ::archive
