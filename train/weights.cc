// SPDX-License-Identifier: Apache-2.0
#include "train/internal/weights.h"

#include <algorithm>
#include <span>
#include <vector>

#include "format/base/error.h"
#include "format/base/file.h"
#include "train/kernels/kernels.h"

namespace organ::train {
namespace {

at::ScalarType stored_type(const format::TensorInfo& tensor) {
  switch (tensor.dtype) {
    case format::DType::F32: return at::kFloat;
    case format::DType::BF16: return at::kBFloat16;
    case format::DType::F16: return at::kHalf;
    default:
      fail(ErrorCode::incompatible, "tensor {}: has dtype {}, expected F32, BF16 or F16",
           quote(tensor.name), format::to_string(tensor.dtype));
  }
}

std::vector<std::int64_t> signed_shape(const format::Shape& shape) {
  return {shape.begin(), shape.end()};
}

// Elements converted at once, so that no second copy of a large tensor exists.
constexpr std::int64_t kPiece = std::int64_t{1} << 20;

}  // namespace

void read_weights(const format::Checkpoint& checkpoint, format::Checkpoint::Location location,
                  at::Tensor out) {
  const format::TensorInfo& tensor = *location.tensor;
  const at::ScalarType type = stored_type(tensor);
  const format::SafetensorsFile& file = checkpoint.shards()[location.shard].file;
  const std::uint64_t start = file.header().data_start + tensor.offset;
  const std::int64_t width = type == at::kFloat ? 4 : 2;
  check(static_cast<std::uint64_t>(out.numel() * width) == tensor.size,
        "read_weights got a place of another size");
  at::Tensor flat = out.view({out.numel()});
  for (std::int64_t first = 0; first < out.numel(); first += kPiece) {
    const std::int64_t count = std::min(kPiece, out.numel() - first);
    at::Tensor piece = kernels::empty({count}, type);
    const std::span<std::byte> bytes(static_cast<std::byte*>(piece.data_ptr()),
                                     static_cast<std::size_t>(count * width));
    read_at(file.fd(), start + static_cast<std::uint64_t>(first * width), bytes, file.subject());
    flat.narrow(0, first, count).copy_(piece);
  }
}

at::Tensor read_tensor(const format::Checkpoint& checkpoint, std::string_view name,
                       at::IntArrayRef shape, at::ScalarType type) {
  const auto location = checkpoint.locate(name);
  if (signed_shape(location.tensor->shape) != shape.vec()) {
    fail(ErrorCode::corrupt, "tensor {}: has shape {}, config.json says {}", quote(name),
         format::to_string(location.tensor->shape),
         format::to_string(format::Shape(shape.begin(), shape.end())));
  }
  at::Tensor tensor = kernels::empty(shape, type);
  read_weights(checkpoint, location, tensor);
  return tensor;
}

}  // namespace organ::train
