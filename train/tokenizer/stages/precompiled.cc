// SPDX-License-Identifier: Apache-2.0
// sentencepiece's precompiled character map, applied as the PyPI package `tokenizers` does.
//
// Bytes: u32 size of a trie in bytes; the trie, a double array of u32 (Darts-clone); the rest is
// UTF-8 text, replacements that end with NUL. A leaf of the trie holds the offset of one.
// Source: sentencepiece builder.cc; darts-clone darts.h, DoubleArrayUnit.
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "format/base/fail.h"
#include "train/tokenizer/stages/normalizer.h"
#include "train/tokenizer/stages/pieces.h"
#include "train/tokenizer/text/grapheme.h"
#include "train/tokenizer/text/unicode.h"

namespace organ::train {
namespace {

// Clusters of more bytes are replaced character by character.
constexpr std::size_t kMaxChunkBytes = 5;
// Bytes that share the upper bits of their place in the array.
constexpr std::uint32_t kBlock = 256;

class Charsmap {
 public:
  Charsmap(std::string_view bytes, std::string_view subject) : subject_(subject) {
    if (bytes.size() < 4) refuse("has no size of its trie");
    const std::uint64_t trie_bytes = word(bytes, 0);
    if (trie_bytes % 4 != 0 || trie_bytes > bytes.size() - 4) {
      refuse(fmt::format("a trie of {} in a map of {}", counted(trie_bytes, "byte"), bytes.size()));
    }
    for (std::size_t at = 0; at < trie_bytes; at += 4) units_.push_back(word(bytes, 4 + at));
    texts_ = bytes.substr(4 + trie_bytes);
    if (const auto at = find_invalid_utf8(texts_)) {
      refuse(fmt::format("byte {} of the replacements is not valid UTF-8", *at));
    }
    check_trie();
  }

  // The replacement of the shortest key that begins the chunk, which has kMaxChunkBytes at most.
  std::optional<std::string_view> find(std::string_view chunk) const {
    std::uint32_t node = offset(units_[0]);
    for (const char c : chunk) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte == 0) break;
      const std::uint32_t unit = units_[node ^ byte];
      if (label(unit) != byte) break;
      node ^= byte ^ offset(unit);
      if (has_leaf(unit)) return text(units_[node]);
    }
    return std::nullopt;
  }

 private:
  static std::uint32_t word(std::string_view bytes, std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 4; i-- > 0;) {
      value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
    }
    return value;
  }
  static bool has_leaf(std::uint32_t unit) { return (unit >> 8 & 1) != 0; }
  static std::uint32_t label(std::uint32_t unit) { return unit & (1u << 31 | 0xFF); }
  static std::uint32_t offset(std::uint32_t unit) { return unit >> 10 << ((unit & 1u << 9) >> 6); }
  static std::uint32_t value(std::uint32_t unit) { return unit & ((1u << 31) - 1); }

  std::string_view text(std::uint32_t unit) const {
    const std::string_view rest = std::string_view(texts_).substr(value(unit));
    return rest.substr(0, rest.find('\0'));
  }

  [[noreturn]] void refuse(std::string_view what) const {
    fail(ErrorCode::corrupt, "{}: precompiled_charsmap: {}", subject_, what);
  }

  // Follows every edge that find() can take, so that find() needs no checks.
  void check_trie() {
    if (units_.empty()) refuse("an empty trie");
    std::vector<bool> seen(units_.size());
    std::vector<std::uint32_t> level, below;
    const auto visit = [&](std::uint32_t node) {
      if ((node | (kBlock - 1)) >= units_.size()) {
        refuse(fmt::format("the trie leads to unit {} of {}", node, units_.size()));
      }
      if (!seen[node]) below.push_back(node);
      seen[node] = true;
    };
    visit(offset(units_[0]));
    for (std::size_t depth = 0; depth < kMaxChunkBytes; ++depth) {
      level = std::exchange(below, {});
      for (const std::uint32_t node : level) {
        for (std::uint32_t byte = 1; byte < kBlock; ++byte) {
          const std::uint32_t unit = units_[node ^ byte];
          if (label(unit) != byte) continue;
          const std::uint32_t next = node ^ byte ^ offset(unit);
          visit(next);
          if (has_leaf(unit)) check_text(units_[next]);
        }
      }
    }
  }

  void check_text(std::uint32_t unit) const {
    const std::size_t at = value(unit);
    const bool inside =
        at < texts_.size() && (static_cast<unsigned char>(texts_[at]) & 0xC0) == 0x80;
    if (at > texts_.size() || inside) {
      refuse(fmt::format("no replacement begins at byte {} of {}", at, texts_.size()));
    }
  }

  std::string_view subject_;  // only while it is made
  std::vector<std::uint32_t> units_;
  std::string texts_;
};

class PrecompiledNormalizer : public Normalizer {
 public:
  PrecompiledNormalizer(std::string_view bytes, std::string_view subject) : map_(bytes, subject) {
    for (char c = 0x20; c < 0x7F; ++c) {
      plain_[static_cast<unsigned char>(c)] = !map_.find(std::string_view(&c, 1));
    }
  }

  bool apply(std::string& text) const override {
    std::string out;
    out.reserve(text.size() + text.size() / 16);
    for (std::size_t at = 0; at < text.size();) {
      const bool alone = at + 1 == text.size() || static_cast<unsigned char>(text[at + 1]) < 0x80;
      if (alone && plain_[static_cast<unsigned char>(text[at])]) {
        out += text[at++];
        continue;
      }
      const std::size_t end = grapheme_end(text, at);
      replace(std::string_view(text).substr(at, end - at), out);
      at = end;
    }
    text = std::move(out);
    return true;
  }

 private:
  // A short cluster as a whole, of which only the beginning need be a key; else its characters.
  void replace(std::string_view cluster, std::string& out) const {
    if (cluster.size() <= kMaxChunkBytes) {
      if (const auto found = map_.find(cluster)) {
        out += *found;
        checked_position(out.size());
        return;
      }
    }
    for (std::size_t at = 0; at < cluster.size();) {
      const std::string_view character = cluster.substr(at, decode_utf8(cluster, at).length);
      out += map_.find(character).value_or(character);
      checked_position(out.size());
      at += character.size();
    }
  }

  Charsmap map_;
  std::array<bool, 256> plain_{};  // printable ASCII that stays as it is
};

}  // namespace

NormalizerPtr make_precompiled(std::string_view charsmap, std::string_view subject) {
  return std::make_unique<PrecompiledNormalizer>(charsmap, subject);
}

}  // namespace organ::train
