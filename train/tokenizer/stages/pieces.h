// SPDX-License-Identifier: Apache-2.0
// The text on its way through the stages, cut into pieces.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/fail.h"

namespace organ::train {

// A piece, or a part of a text.
struct Span {
  std::uint32_t begin, end;  // bytes of Pieces::text
};

// Valid UTF-8; the spans are in order, do not overlap and are never empty. Each begins and ends at
// a character. Text that no span covers is dropped: the model never sees it.
struct Pieces {
  // What the pieces are cut from. A stage may write it anew, and all spans with it.
  std::string text;
  std::vector<Span> spans;
  // The first span begins with the first byte of what the caller passed in (Metaspace asks). False
  // for text behind an added token, and once what stood there was dropped.
  bool starts_at_zero = true;

  // Valid until `text` changes or goes away.
  std::string_view view(Span span) const {
    return std::string_view(text).substr(span.begin, span.end - span.begin);
  }
};

// Normalisers and ByteLevel make texts longer; positions are 32 bits. Throws invalid_argument for a
// position that does not fit.
inline std::uint32_t checked_position(std::size_t position) {
  if (position > UINT32_MAX) {
    fail(ErrorCode::invalid_argument, "text: more than {} bytes after normalisation", UINT32_MAX);
  }
  return static_cast<std::uint32_t>(position);
}

}  // namespace organ::train
