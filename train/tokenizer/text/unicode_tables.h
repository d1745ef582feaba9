// SPDX-License-Identifier: Apache-2.0
// What the PyPI package `tokenizers` takes for white space, digits and so on, as sorted ranges.
#pragma once

#include <cstddef>
#include <cstdint>

namespace organ::train {

struct CodePointRange {
  std::uint32_t first, last;  // inclusive
};

// How a code point joins its neighbours in a grapheme cluster (UAX 29). Those of Hangul syllables
// (LV, LVT) and regional indicators follow from their numbers.
enum class GraphemeClass : std::uint8_t {
  other,
  control,
  extend,           // Extend that ends a conjunct
  conjunct_extend,  // Extend within a conjunct
  linker,           // Extend that links consonants
  zero_width_joiner,
  spacing_mark,
  prepend,
  consonant,  // of a script with linkers
  pictographic,
  hangul_l,
  hangul_v,
  hangul_t,
  hangul_lv,
  hangul_lvt,
  regional_indicator,
  carriage_return,
  line_feed,
};

struct GraphemeRange {
  std::uint32_t first, last;  // inclusive
  GraphemeClass value;
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
extern const CodePointRange kCombiningMarks[];
extern const std::size_t kCombiningMarksSize;
extern const CodePointRange kNonspacingMarks[];
extern const std::size_t kNonspacingMarksSize;
extern const CodePointRange kBertUnwanted[];
extern const std::size_t kBertUnwantedSize;
extern const LowerRun kLower[];
extern const std::size_t kLowerSize;
extern const GraphemeRange kGraphemes[];
extern const std::size_t kGraphemesSize;
extern const PropertyAdditions kAdditions[];
extern const std::size_t kAdditionsSize;

}  // namespace organ::train
