// SPDX-License-Identifier: Apache-2.0
// What the PyPI package `tokenizers` takes for white space, digits and so on, as sorted ranges.
// Those of code points ascend and do not overlap; kNAMESize is a table's number of entries, not
// bytes. The tables are made by tests/tools/tokenizer_tables.py, which asks the package code point
// by code point. Nobody but unicode.cc, grapheme.cc and regex_dialect.cc needs them: the questions
// to ask are in train/tokenizer/text/unicode.h and grapheme.h.
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

// A code point in no range is of class other, but for those that follow from their numbers.
struct GraphemeRange {
  std::uint32_t first, last;  // inclusive
  GraphemeClass value;
};

// Lower case, as one code point each. U+0130, which has two, is in no run.
// Each step-th code point of first..last, from first on, becomes itself + delta; those in between
// stay.
struct LowerRun {
  std::uint32_t first, last, step;
  std::int32_t delta;
};

// Members of \p{name} assigned after Unicode 14, as the inside of a PCRE2 character class: what
// PCRE2 10.40 to 10.42, which know Unicode 14, miss of Oniguruma's property. A property that is not
// in the table is not let through. The items stand in brackets beside \p{name} itself.
struct PropertyAdditions {
  const char* name;
  const char* class_items;
};

// The property White_Space.
extern const CodePointRange kWhiteSpace[];
extern const std::size_t kWhiteSpaceSize;
// The general categories N.
extern const CodePointRange kNumeric[];
extern const std::size_t kNumericSize;
// What the Punctuation pre-tokeniser cuts at.
extern const CodePointRange kPunctuation[];
extern const std::size_t kPunctuationSize;
// What \w matches in Rust's regex crate.
extern const CodePointRange kWord[];
extern const std::size_t kWordSize;
// What StripAccents takes out.
extern const CodePointRange kCombiningMarks[];
extern const std::size_t kCombiningMarksSize;
// What BertNormalizer takes out of a decomposed text when it strips accents.
extern const CodePointRange kNonspacingMarks[];
extern const std::size_t kNonspacingMarksSize;
// What BertNormalizer takes out when it cleans a text.
extern const CodePointRange kBertUnwanted[];
extern const std::size_t kBertUnwantedSize;
extern const LowerRun kLower[];
extern const std::size_t kLowerSize;
extern const GraphemeRange kGraphemes[];
extern const std::size_t kGraphemesSize;
extern const PropertyAdditions kAdditions[];
extern const std::size_t kAdditionsSize;

}  // namespace organ::train
