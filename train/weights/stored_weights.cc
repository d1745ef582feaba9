// SPDX-License-Identifier: Apache-2.0
#include "train/weights/stored_weights.h"

#include <algorithm>
#include <span>
#include <vector>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/tensor/mxfp4.h"
#include "train/kernels/elementwise.h"

namespace organ::train {
namespace {

at::ScalarType stored_type(const format::TensorInfo& tensor) {
  switch (tensor.dtype) {
    case format::DType::F32: return at::kFloat;
    case format::DType::BF16: return at::kBFloat16;
    case format::DType::F16: return at::kHalf;
    case format::DType::F64: return at::kDouble;
    default:
      fail(ErrorCode::incompatible, "tensor {}: has dtype {}, expected F32, BF16, F16 or F64",
           quote(tensor.name), format::to_string(tensor.dtype));
  }
}

std::span<std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.data_ptr()), tensor.nbytes()};
}

std::vector<std::int64_t> signed_shape(const format::Shape& shape) {
  return {shape.begin(), shape.end()};
}

std::vector<std::byte> read_rows(const format::Checkpoint& checkpoint,
                                 format::Checkpoint::Location location, std::uint64_t first,
                                 std::uint64_t bytes) {
  const format::SafetensorsFile& file = checkpoint.shards()[location.shard].file;
  std::vector<std::byte> data(bytes);
  read_at(file.fd(), file.header().data_start + location.tensor->offset + first * bytes, data,
          file.subject());
  return data;
}

// One expert at a time: the tensor of all of them is many gigabytes.
void read_mxfp4(const format::Checkpoint& checkpoint, format::Checkpoint::Location blocks,
                format::Checkpoint::Location scales, const at::Tensor& out) {
  const format::Shape& shape = blocks.tensor->shape;  // [experts, out, in / 32, 16]
  check(shape.size() == 4 && scales.tensor->shape == format::Shape(shape.begin(), shape.end() - 1),
        "MXFP4 blocks and scales of other shapes than their architecture says");
  const auto experts = static_cast<std::int64_t>(shape[0]);
  const auto rows = static_cast<std::int64_t>(shape[1]);
  const auto columns = static_cast<std::int64_t>(shape[2] * format::kMxfp4BlockValues);
  at::Tensor numbers = kernels::empty({rows, columns}, at::kFloat);
  const std::span<float> values(numbers.mutable_data_ptr<float>(),
                                static_cast<std::size_t>(numbers.numel()));
  const at::Tensor placed = out.view({experts, columns, rows});
  for (std::int64_t expert = 0; expert < experts; ++expert) {
    const auto index = static_cast<std::uint64_t>(expert);
    format::decode_mxfp4(read_rows(checkpoint, blocks, index, blocks.tensor->size / shape[0]),
                         read_rows(checkpoint, scales, index, scales.tensor->size / shape[0]),
                         values);
    placed.select(0, expert).copy_(numbers.t());
  }
}

// Elements converted at once, so that no second copy of a large tensor exists.
constexpr std::int64_t kPiece = std::int64_t{1} << 20;

}  // namespace

void read_weights(const format::Checkpoint& checkpoint, format::Checkpoint::Location location,
                  const at::Tensor& out) {
  const format::TensorInfo& tensor = *location.tensor;
  const at::ScalarType type = stored_type(tensor);
  const format::SafetensorsFile& file = checkpoint.shards()[location.shard].file;
  const std::uint64_t start = file.header().data_start + tensor.offset;
  const auto width = static_cast<std::int64_t>(c10::elementSize(type));
  check(static_cast<std::uint64_t>(out.numel() * width) == tensor.size,
        "read_weights got a place of another size");
  at::Tensor flat = out.view({out.numel()});
  if (flat.is_cpu() && flat.scalar_type() == type) {
    read_at(file.fd(), start, bytes_of(flat), file.subject());
    return;
  }
  for (std::int64_t first = 0; first < out.numel(); first += kPiece) {
    const std::int64_t count = std::min(kPiece, out.numel() - first);
    at::Tensor piece = kernels::empty({count}, type);
    read_at(file.fd(), start + static_cast<std::uint64_t>(first * width), bytes_of(piece),
            file.subject());
    flat.narrow(0, first, count).copy_(piece);
  }
}

void read_layer_tensor(const format::Checkpoint& checkpoint, const StoredLayer& layer,
                       const std::string& name, const at::Tensor& out) {
  if (const auto plain = layer.find(name); plain != layer.end()) {
    read_weights(checkpoint, plain->second, out);
  } else {
    read_mxfp4(checkpoint, layer.at(name + std::string(format::kMxfp4Blocks)),
               layer.at(name + std::string(format::kMxfp4Scales)), out);
  }
}

format::DType trained_type(const StoredLayer& layer, const std::string& name) {
  const auto plain = layer.find(name);
  return plain != layer.end() ? plain->second.tensor->dtype : format::DType::BF16;
}

at::Tensor read_tensor(const format::Checkpoint& checkpoint, std::string_view name,
                       at::IntArrayRef shape, at::ScalarType type, at::Device device) {
  const auto location = checkpoint.locate(name);
  if (signed_shape(location.tensor->shape) != shape.vec()) {
    fail(ErrorCode::corrupt, "tensor {}: has shape {}, config.json says {}", quote(name),
         format::to_string(location.tensor->shape),
         format::to_string(format::Shape(shape.begin(), shape.end())));
  }
  at::Tensor tensor = kernels::empty(shape, type, device);
  read_weights(checkpoint, location, tensor);
  return tensor;
}

}  // namespace organ::train
