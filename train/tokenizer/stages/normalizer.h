// SPDX-License-Identifier: Apache-2.0
// Normalisers of tokenizer.json: text to text, before it is cut. Immutable and thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "train/tokenizer/text/regex.h"

namespace organ::train {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  // `text` is valid UTF-8 and stays so. Returns false when its first character no longer comes
  // from the first character of the input.
  virtual bool apply(std::string& text) const = 0;
  // A character that the input did not have may stand in front.
  virtual bool prepends() const { return false; }
};

using NormalizerPtr = std::unique_ptr<const Normalizer>;

// One after the other; no part is null.
NormalizerPtr make_sequence(std::vector<NormalizerPtr> parts);
// Puts `prefix` before a text that is not empty.
NormalizerPtr make_prepend(std::string prefix);
// Every match, leftmost first; see replace_all.
NormalizerPtr make_replace(Pattern pattern, std::string content);
// Code point by code point, without regard to language or context (Rust's char::to_lowercase).
NormalizerPtr make_lowercase();
// White space off the start, the end, or both.
NormalizerPtr make_strip(bool left, bool right);

enum class NormalForm { nfc, nfd, nfkc, nfkd };
// Throws incompatible with `subject` in a build without ICU.
NormalizerPtr make_normal_form(NormalForm form, std::string_view subject);

// Takes out combining marks (M).
NormalizerPtr make_strip_accents();

struct BertNormalizerOptions {
  bool clean_text = true;            // without control characters, all white space a space
  bool handle_chinese_chars = true;  // spaces around them
  bool strip_accents = true;         // NFD without non-spacing marks
  bool lowercase = true;
};
// Throws incompatible with `subject` for strip_accents in a build without ICU.
NormalizerPtr make_bert_normalizer(const BertNormalizerOptions& options, std::string_view subject);

// sentencepiece's map from short texts to their replacements (nmt_nfkc and others), as it stands
// in its models. Throws corrupt with `subject` for a map that contradicts itself.
NormalizerPtr make_precompiled(std::string_view charsmap, std::string_view subject);

// Replaces every match; returns false when the match at the start was removed or was longer than
// one character (the first character then counts as coming from a later one).
bool replace_all(std::string& text, const Pattern& pattern, std::string_view content);

}  // namespace organ::train
