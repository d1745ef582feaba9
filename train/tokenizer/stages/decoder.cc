// SPDX-License-Identifier: Apache-2.0
#include "train/tokenizer/stages/decoder.h"

#include <optional>

#include "train/tokenizer/stages/byte_level.h"
#include "train/tokenizer/stages/normalizer.h"
#include "train/tokenizer/text/unicode.h"

namespace organ::train {
namespace {

std::string joined(const std::vector<std::string>& tokens) {
  std::string text;
  for (const std::string& token : tokens) text += token;
  return text;
}

class DecoderSequence : public Decoder {
 public:
  explicit DecoderSequence(std::vector<DecoderPtr> parts) : parts_(std::move(parts)) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (const auto& part : parts_) part->apply(tokens);
  }

 private:
  std::vector<DecoderPtr> parts_;
};

class ByteLevelDecoder : public Decoder {
 public:
  void apply(std::vector<std::string>& tokens) const override {
    std::string bytes;
    for (const std::string& token : tokens) append_bytes(token, bytes);
    tokens = {replace_invalid_utf8(std::move(bytes))};
  }

 private:
  // A token with any character that stands for no byte is taken as it is.
  static void append_bytes(std::string_view token, std::string& out) {
    static constexpr auto kBytes = byte_level_bytes();
    const std::size_t before = out.size();
    for (std::size_t at = 0; at < token.size();) {
      const Decoded next = decode_utf8(token, at);
      const int byte = next.code_point < kByteLevelEnd ? kBytes[next.code_point] : -1;
      if (byte < 0) {
        out.resize(before);
        out += token;
        return;
      }
      out += static_cast<char>(byte);
      at += next.length;
    }
  }
};

std::optional<unsigned> hexadecimal_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

// The byte of "<0x41>"; like Rust's from_str_radix, "+" may stand for the first digit.
std::optional<char> byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  const auto high = token[3] == '+' ? std::optional<unsigned>(0) : hexadecimal_digit(token[3]);
  const auto low = hexadecimal_digit(token[4]);
  if (!high || !low) return std::nullopt;
  return static_cast<char>(*high << 4 | *low);
}

class ByteFallbackDecoder : public Decoder {
 public:
  void apply(std::vector<std::string>& tokens) const override {
    std::vector<std::string> out;
    std::string bytes;
    // A run of bytes that is not UTF-8 as a whole gives one U+FFFD for each byte.
    const auto flush = [&] {
      if (bytes.empty()) return;
      if (!find_invalid_utf8(bytes)) {
        out.push_back(std::move(bytes));
      } else {
        out.insert(out.end(), bytes.size(), "\uFFFD");
      }
      bytes.clear();
    };
    for (std::string& token : tokens) {
      if (const auto byte = byte_of_token(token)) {
        bytes += *byte;
      } else {
        flush();
        out.push_back(std::move(token));
      }
    }
    flush();
    tokens = std::move(out);
  }
};

class FuseDecoder : public Decoder {
 public:
  void apply(std::vector<std::string>& tokens) const override { tokens = {joined(tokens)}; }
};

class ReplaceDecoder : public Decoder {
 public:
  ReplaceDecoder(Pattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) replace_all(token, pattern_, content_);
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class StripDecoder : public Decoder {
 public:
  StripDecoder(std::string character, std::size_t start, std::size_t stop)
      : character_(std::move(character)), start_(start), stop_(stop) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) strip(token);
  }

 private:
  void strip(std::string& token) const {
    std::string_view view = token;
    for (std::size_t i = 0; i < start_ && view.starts_with(character_); ++i) {
      view.remove_prefix(character_.size());
    }
    for (std::size_t i = 0; i < stop_ && view.ends_with(character_); ++i) {
      view.remove_suffix(character_.size());
    }
    token = std::string(view);
  }

  std::string character_;
  std::size_t start_, stop_;
};

class WordPieceDecoder : public Decoder {
 public:
  WordPieceDecoder(std::string prefix, bool cleanup) : prefix_(std::move(prefix)) {
    // In this order, each in what the ones before it left (" do not" included, as it is there).
    static constexpr std::pair<const char*, const char*> kRules[] = {
        {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
        {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
        {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    if (!cleanup) return;
    for (const auto& [from, to] : kRules) rules_.emplace_back(Pattern::literal(from), to);
  }
  void apply(std::vector<std::string>& tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      std::string& token = tokens[i];
      if (i > 0 && token.starts_with(prefix_)) {
        token.erase(0, prefix_.size());
      } else if (i > 0) {
        token.insert(0, 1, ' ');
      }
      for (const auto& [pattern, content] : rules_) replace_all(token, pattern, content);
    }
  }

 private:
  std::string prefix_;
  std::vector<std::pair<Pattern, std::string>> rules_;
};

class MetaspaceDecoder : public Decoder {
 public:
  MetaspaceDecoder(std::string replacement, PrependScheme scheme)
      : pattern_(Pattern::literal(std::move(replacement))), scheme_(scheme) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const bool drops = i == 0 && scheme_ != PrependScheme::never;
      replace_all(tokens[i], pattern_, drops ? "" : " ");
    }
  }

 private:
  Pattern pattern_;
  PrependScheme scheme_;
};

}  // namespace

DecoderPtr make_decoder_sequence(std::vector<DecoderPtr> parts) {
  return std::make_unique<DecoderSequence>(std::move(parts));
}
DecoderPtr make_byte_level_decoder() { return std::make_unique<ByteLevelDecoder>(); }
DecoderPtr make_byte_fallback_decoder() { return std::make_unique<ByteFallbackDecoder>(); }
DecoderPtr make_fuse_decoder() { return std::make_unique<FuseDecoder>(); }
DecoderPtr make_replace_decoder(Pattern pattern, std::string content) {
  return std::make_unique<ReplaceDecoder>(std::move(pattern), std::move(content));
}
DecoderPtr make_strip_decoder(std::string character, std::size_t start, std::size_t stop) {
  return std::make_unique<StripDecoder>(std::move(character), start, stop);
}
DecoderPtr make_wordpiece_decoder(std::string prefix, bool cleanup) {
  return std::make_unique<WordPieceDecoder>(std::move(prefix), cleanup);
}
DecoderPtr make_metaspace_decoder(std::string replacement, PrependScheme scheme) {
  return std::make_unique<MetaspaceDecoder>(std::move(replacement), scheme);
}

}  // namespace organ::train
