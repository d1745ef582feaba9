// SPDX-License-Identifier: Apache-2.0
// What the PyPI package `tokenizers` takes for white space, digits and so on, as sorted ranges.
#pragma once

#include <cstddef>
#include <cstdint>

namespace organ::train {

struct CodePointRange {
  std::uint32_t first, last;  // inclusive
};

// Each step-th code point of first..last becomes itself + delta.
struct LowerRun {
  std::uint32_t first, last, step;
  std::int32_t delta;
};

// Members of \p{name} assigned after Unicode 14, as the inside of a PCRE2 character class.
struct PropertyAdditions {
  const char* name;
  const char* class_items;
};

extern const CodePointRange kWhiteSpace[];
extern const std::size_t kWhiteSpaceSize;
extern const CodePointRange kNumeric[];
extern const std::size_t kNumericSize;
extern const CodePointRange kPunctuation[];
extern const std::size_t kPunctuationSize;
extern const CodePointRange kWord[];
extern const std::size_t kWordSize;
extern const LowerRun kLower[];
extern const std::size_t kLowerSize;
extern const PropertyAdditions kAdditions[];
extern const std::size_t kAdditionsSize;

}  // namespace organ::train
