// SPDX-License-Identifier: Apache-2.0
// What torch calls the element types that safetensors has too: the one table that files of torch
// are read and written by. Of safetensors' types F4, F6_E2M3 and F6_E3M2 are not in it: torch has
// none of them as one element, and such tensors are refused both ways.
#pragma once

#include <string_view>

#include "format/tensor/tensor.h"

namespace organ::format::internal {

// Both names are those of globals in the module `torch`, without the module. Types without a
// storage of their own (newer than those) are told by `type`, over plain bytes: an UntypedStorage,
// whose size counts bytes, and _rebuild_tensor_v3, which names the type. The others have the
// storage's type and _rebuild_tensor_v2, and their storage's size counts elements.
struct TorchType {
  DType dtype;
  std::string_view type;          // torch.float32
  std::string_view storage = "";  // torch.FloatStorage
};

// One entry per element type; no two share a name of either kind.
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
