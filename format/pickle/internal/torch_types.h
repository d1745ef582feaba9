// SPDX-License-Identifier: Apache-2.0
// What torch calls the element types that safetensors has too.
#pragma once

#include <string_view>

#include "format/tensor/tensor.h"

namespace organ::format::internal {

// Types without a storage of their own (newer than those) are told by `type`, over plain bytes.
struct TorchType {
  DType dtype;
  std::string_view type;          // torch.float32
  std::string_view storage = "";  // torch.FloatStorage
};

inline constexpr TorchType kTorchTypes[] = {
    {DType::BOOL, "bool", "BoolStorage"},
    {DType::U8, "uint8", "ByteStorage"},
    {DType::I8, "int8", "CharStorage"},
    {DType::I16, "int16", "ShortStorage"},
    {DType::I32, "int32", "IntStorage"},
    {DType::I64, "int64", "LongStorage"},
    {DType::F16, "float16", "HalfStorage"},
    {DType::BF16, "bfloat16", "BFloat16Storage"},
    {DType::F32, "float32", "FloatStorage"},
    {DType::F64, "float64", "DoubleStorage"},
    {DType::C64, "complex64", "ComplexFloatStorage"},
    {DType::U16, "uint16"},
    {DType::U32, "uint32"},
    {DType::U64, "uint64"},
    {DType::F8_E4M3, "float8_e4m3fn"},
    {DType::F8_E5M2, "float8_e5m2"},
    {DType::F8_E8M0, "float8_e8m0fnu"},
    {DType::F8_E4M3FNUZ, "float8_e4m3fnuz"},
    {DType::F8_E5M2FNUZ, "float8_e5m2fnuz"},
};

}  // namespace organ::format::internal
