// SPDX-License-Identifier: Apache-2.0
#include "registry/archive/codec/element_type.h"

namespace organ::archive {

ElementType element_type(format::DType dtype) {
  using format::DType;
  switch (dtype) {
    case DType::F8_E5M2:
    case DType::F8_E5M2FNUZ: return {1, 2, true};
    case DType::F8_E4M3:
    case DType::F8_E4M3FNUZ: return {1, 3, true};
    case DType::F16: return {2, 10, true};
    case DType::BF16: return {2, 7, true};
    case DType::F32:
    case DType::C64: return {4, 23, true};
    case DType::F64: return {8, 52, true};
    case DType::I16:
    case DType::U16: return {2, 0, false};
    case DType::I32:
    case DType::U32: return {4, 0, false};
    case DType::I64:
    case DType::U64: return {8, 0, false};
    case DType::BOOL:
    case DType::F4:
    case DType::F6_E2M3:
    case DType::F6_E3M2:
    case DType::U8:
    case DType::I8:
    case DType::F8_E8M0: break;
  }
  return {1, 0, false};
}

}  // namespace organ::archive
