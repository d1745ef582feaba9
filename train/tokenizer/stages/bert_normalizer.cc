// SPDX-License-Identifier: Apache-2.0
// BertNormalizer of `tokenizers`; rules: google-research/bert tokenization.py.
#include "train/tokenizer/stages/normalizer.h"
#include "train/tokenizer/stages/pieces.h"
#include "train/tokenizer/text/unicode.h"

namespace organ::train {
namespace {

// The ideographs that `tokenizers` takes for Chinese. Its third extension block begins at U+2B920,
// a slip for U+2B820 that ids depend on.
bool is_chinese(char32_t c) {
  if (c < 0x3400) return false;
  return (c >= 0x4E00 && c <= 0x9FFF) || c <= 0x4DBF || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) ||
         (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x2F800 && c <= 0x2FA1F);
}

bool is_printable_ascii(char c) { return c >= 0x20 && c < 0x7F; }

class BertNormalizer : public Normalizer {
 public:
  BertNormalizer(const BertNormalizerOptions& options, std::string_view subject)
      : options_(options) {
    if (options.strip_accents) decompose_ = make_normal_form(NormalForm::nfd, subject);
    if (options.lowercase) lowercase_ = make_lowercase();
  }

  bool apply(std::string& text) const override {
    bool same_start = true;
    if (options_.clean_text || options_.handle_chinese_chars) same_start = rewrite(text);
    if (options_.strip_accents) {
      decompose_->apply(text);
      const bool kept =
          filter_characters(text, [](char32_t c) { return c < 0x80 || !is_nonspacing_mark(c); });
      same_start = kept && same_start;
    }
    if (options_.lowercase) lowercase_->apply(text);
    return same_start;
  }

 private:
  bool rewrite(std::string& text) const {
    std::string out;
    out.reserve(text.size() + text.size() / 8);
    bool same_start = true;
    for (std::size_t at = 0; at < text.size();) {
      if (is_printable_ascii(text[at])) {
        out += text[at++];
        continue;
      }
      const Decoded next = decode_utf8(text, at);
      if (options_.clean_text && is_bert_unwanted(next.code_point)) {
        same_start = same_start && at > 0;
      } else if (options_.clean_text && is_white_space(next.code_point)) {
        out += ' ';
      } else if (options_.handle_chinese_chars && is_chinese(next.code_point)) {
        out += ' ';
        out.append(text, at, next.length);
        out += ' ';
        checked_position(out.size());
      } else {
        out.append(text, at, next.length);
      }
      at += next.length;
    }
    text = std::move(out);
    return same_start;
  }

  BertNormalizerOptions options_;
  NormalizerPtr decompose_, lowercase_;
};

}  // namespace

NormalizerPtr make_bert_normalizer(const BertNormalizerOptions& options, std::string_view subject) {
  return std::make_unique<BertNormalizer>(options, subject);
}

}  // namespace organ::train
