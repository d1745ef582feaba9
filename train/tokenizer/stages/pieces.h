// SPDX-License-Identifier: Apache-2.0
// The text on its way through the stages, cut into pieces.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/fail.h"

namespace organ::train {

struct Span {
  std::uint32_t begin, end;  // bytes of Pieces::text
};

// Valid UTF-8; the spans are in order, do not overlap and are never empty.
struct Pieces {
  std::string text;
  std::vector<Span> spans;
  // The first span begins with the first byte of what the caller passed in (Metaspace asks).
  bool starts_at_zero = true;

  std::string_view view(Span span) const {
    return std::string_view(text).substr(span.begin, span.end - span.begin);
  }
};

// Normalisers and ByteLevel make texts longer; positions are 32 bits.
inline std::uint32_t checked_position(std::size_t position) {
  if (position > UINT32_MAX) {
    fail(ErrorCode::invalid_argument, "text: more than {} bytes after normalisation", UINT32_MAX);
  }
  return static_cast<std::uint32_t>(position);
}

}  // namespace organ::train
