// SPDX-License-Identifier: Apache-2.0
#include "train/tokenizer/stages/normalizer.h"

#include <algorithm>

#include "train/tokenizer/stages/pieces.h"
#include "train/tokenizer/text/unicode.h"

namespace organ::train {
namespace {

class SequenceNormalizer : public Normalizer {
 public:
  explicit SequenceNormalizer(std::vector<NormalizerPtr> parts) : parts_(std::move(parts)) {}
  bool apply(std::string& text) const override {
    bool same_start = true;
    for (const auto& part : parts_) same_start = part->apply(text) && same_start;
    return same_start;
  }
  bool prepends() const override {
    return std::ranges::any_of(parts_, [](const auto& part) { return part->prepends(); });
  }

 private:
  std::vector<NormalizerPtr> parts_;
};

class PrependNormalizer : public Normalizer {
 public:
  explicit PrependNormalizer(std::string prefix) : prefix_(std::move(prefix)) {}
  bool apply(std::string& text) const override {
    if (!text.empty()) text.insert(0, prefix_);
    return true;
  }
  bool prepends() const override { return true; }

 private:
  std::string prefix_;
};

class ReplaceNormalizer : public Normalizer {
 public:
  ReplaceNormalizer(Pattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  bool apply(std::string& text) const override { return replace_all(text, pattern_, content_); }

 private:
  Pattern pattern_;
  std::string content_;
};

class LowercaseNormalizer : public Normalizer {
 public:
  bool apply(std::string& text) const override {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
      const Decoded next = decode_utf8(text, at);
      append_lower(out, next.code_point);
      at += next.length;
    }
    text = std::move(out);
    return true;
  }
};

class StripNormalizer : public Normalizer {
 public:
  StripNormalizer(bool left, bool right) : left_(left), right_(right) {}
  bool apply(std::string& text) const override {
    std::size_t begin = 0;
    std::size_t end = text.size();
    while (right_ && end > 0) {
      const std::size_t previous = previous_utf8(text, end);
      if (!is_white_space(decode_utf8(text, previous).code_point)) break;
      end = previous;
    }
    while (left_ && begin < end) {
      const Decoded next = decode_utf8(text, begin);
      if (!is_white_space(next.code_point)) break;
      begin += next.length;
    }
    text = text.substr(begin, end - begin);
    return begin == 0;
  }

 private:
  bool left_, right_;
};

class StripAccentsNormalizer : public Normalizer {
 public:
  bool apply(std::string& text) const override {
    return filter_characters(text, [](char32_t c) { return !is_combining_mark(c); });
  }
};

}  // namespace

NormalizerPtr make_sequence(std::vector<NormalizerPtr> parts) {
  return std::make_unique<SequenceNormalizer>(std::move(parts));
}
NormalizerPtr make_prepend(std::string prefix) {
  return std::make_unique<PrependNormalizer>(std::move(prefix));
}
NormalizerPtr make_replace(Pattern pattern, std::string content) {
  return std::make_unique<ReplaceNormalizer>(std::move(pattern), std::move(content));
}
NormalizerPtr make_lowercase() { return std::make_unique<LowercaseNormalizer>(); }
NormalizerPtr make_strip(bool left, bool right) {
  return std::make_unique<StripNormalizer>(left, right);
}

NormalizerPtr make_strip_accents() { return std::make_unique<StripAccentsNormalizer>(); }

bool replace_all(std::string& text, const Pattern& pattern, std::string_view content) {
  Search search(pattern);
  auto match = search.find(text, 0);
  if (!match) return true;
  const bool first_character =
      match->begin > 0 || (!content.empty() && match->end == decode_utf8(text, 0).length);
  std::string out;
  std::size_t done = 0;
  for (; match; match = search.find(text, done)) {
    out += std::string_view(text).substr(done, match->begin - done);
    out += content;
    checked_position(out.size());
    done = match->end;
  }
  out += std::string_view(text).substr(done);
  text = std::move(out);
  return first_character;
}

}  // namespace organ::train
