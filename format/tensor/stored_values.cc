// SPDX-License-Identifier: Apache-2.0
#include "format/tensor/stored_values.h"

#include <cstring>

#include "format/base/fail.h"
#include "format/tensor/convert.h"

namespace organ::format {

void check_floating(const TensorInfo& tensor) {
  if (tensor.dtype == DType::F32 || tensor.dtype == DType::BF16 || tensor.dtype == DType::F16) {
    return;
  }
  fail(ErrorCode::incompatible, "tensor {}: stored as {}, expected F32, BF16 or F16",
       quote(tensor.name), to_string(tensor.dtype));
}

std::vector<float> floats_of(const TensorInfo& tensor, std::span<const std::byte> bytes) {
  check_floating(tensor);
  std::vector<float> values(bytes.size() * 8 / bit_width(tensor.dtype));
  if (tensor.dtype == DType::F32) {
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
  convert_elements(tensor.dtype, DType::F32, bytes, std::as_writable_bytes(std::span(values)),
                   quote(tensor.name));
  return values;
}

std::vector<std::byte> stored_bytes(const TensorInfo& tensor, std::span<const float> values) {
  check_floating(tensor);
  const auto in = std::as_bytes(values);
  if (tensor.dtype == DType::F32) return {in.begin(), in.end()};
  std::vector<std::byte> bytes(tensor.size);
  convert_elements(DType::F32, tensor.dtype, in, bytes, quote(tensor.name));
  return bytes;
}

}  // namespace organ::format
