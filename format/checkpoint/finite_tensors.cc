// SPDX-License-Identifier: Apache-2.0
#include "format/checkpoint/finite_tensors.h"

#include <algorithm>
#include <vector>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/tensor/finite.h"

namespace organ::format {
namespace {

constexpr std::uint64_t kPiece = std::uint64_t{1} << 20;  // whole elements of every type

std::optional<std::uint64_t> first_element(const SafetensorsFile& file, const TensorInfo& tensor,
                                           std::vector<std::byte>& buffer) {
  const std::uint64_t start = file.header().data_start + tensor.offset;
  for (std::uint64_t done = 0; done < tensor.size; done += kPiece) {
    const auto piece = std::span(buffer).first(std::min(kPiece, tensor.size - done));
    read_at(file.fd(), start + done, piece, file.subject());
    if (const auto element = first_not_finite(tensor.dtype, piece)) {
      return done * 8 / bit_width(tensor.dtype) + *element;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<Finding> first_not_finite_tensor(const Checkpoint& checkpoint) {
  std::vector<std::byte> buffer(kPiece);
  for (const Checkpoint::Shard& shard : checkpoint.shards()) {
    for (const TensorInfo& tensor : shard.file.header().tensors) {
      if (!may_be_not_finite(tensor.dtype)) continue;
      const auto element = first_element(shard.file, tensor, buffer);
      if (!element) continue;
      return Finding{ErrorCode::corrupt,
                     fmt::format("{}: tensor {}", escape_text(shard.file_name), quote(tensor.name)),
                     describe_not_finite(tensor.shape, *element)};
    }
  }
  return std::nullopt;
}

}  // namespace organ::format
