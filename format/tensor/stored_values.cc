// SPDX-License-Identifier: Apache-2.0
#include "format/tensor/stored_values.h"

#include <cmath>
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

namespace {

std::vector<float> rounded(const TensorInfo& tensor, std::span<const std::byte> bytes) {
  std::vector<float> values(bytes.size() / sizeof(double));
  for (std::size_t i = 0; i < values.size(); ++i) {
    double value = 0;
    std::memcpy(&value, bytes.data() + i * sizeof(double), sizeof(double));
    values[i] = static_cast<float>(value);
    if (std::isfinite(value) && !std::isfinite(values[i])) {
      fail(ErrorCode::incompatible, "tensor {}: {} does not fit F32", quote(tensor.name), value);
    }
  }
  return values;
}

}  // namespace

std::vector<float> floats_of(const TensorInfo& tensor, std::span<const std::byte> bytes) {
  if (tensor.dtype == DType::F64) return rounded(tensor, bytes);
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
