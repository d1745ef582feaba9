// SPDX-License-Identifier: Apache-2.0
// Model (vocabulary, merges, scores) and added tokens of tokenizer.json.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "train/tokenizer/internal/reader.h"
#include "train/tokenizer/models/bpe.h"
#include "train/tokenizer/models/token_trie.h"
#include "train/tokenizer/models/unigram.h"
#include "train/tokenizer/models/wordpiece.h"

namespace organ::train {
namespace {

std::size_t checked_id(const JsonObject& object, std::string_view token, const Json& id) {
  if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= kMaxTokenizerIds) {
    object.fail_field("vocab", fmt::format("token {}: expected an id below {}, got {}",
                                           quote(token), kMaxTokenizerIds, escape_text(id.dump())));
  }
  return id.get<std::size_t>();
}

Vocabulary read_vocab(const JsonObject& model) {
  const Json& vocab = model.at("vocab");
  if (!vocab.is_object() || vocab.empty()) {
    model.fail_field("vocab", "expected an object with at least one token");
  }
  std::vector<std::string> tokens;
  for (const auto& [token, value] : vocab.items()) {
    const std::size_t id = checked_id(model, token, value);
    if (id >= tokens.size()) tokens.resize(id + 1);
    if (!tokens[id].empty()) {
      model.fail_field("vocab", fmt::format("tokens {} and {} share id {}", quote(tokens[id]),
                                            quote(token), id));
    }
    tokens[id] = token;
  }
  return Vocabulary(std::move(tokens), vocab.contains("") ? 1 : 0);
}

[[noreturn]] void fail_merge(const JsonObject& model, std::size_t rank) {
  model.fail_field("merges", fmt::format("merge {}: expected \"a b\" or [\"a\", \"b\"]", rank));
}

std::pair<std::string, std::string> split_merge(const JsonObject& model, const std::string& text,
                                                std::size_t rank) {
  const std::size_t space = text.find(' ');
  if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
    fail_merge(model, rank);
  }
  return {text.substr(0, space), text.substr(space + 1)};
}

std::vector<std::pair<std::string, std::string>> read_merges(const JsonObject& model) {
  const Json& merges = model.at("merges");
  if (!merges.is_array()) model.fail_field("merges", "expected an array");
  std::vector<std::pair<std::string, std::string>> result;
  for (const Json& merge : merges) {
    const std::size_t rank = result.size();
    if (merge.is_string()) {
      const auto& text = merge.get_ref<const std::string&>();
      if (text.starts_with("#version")) continue;  // a line of merges.txt that came along
      result.push_back(split_merge(model, text, rank));
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      result.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
    } else {
      fail_merge(model, rank);
    }
    if (result.back().first.empty() || result.back().second.empty()) fail_merge(model, rank);
  }
  return result;
}

AddedToken read_added_token(const JsonObject& object) {
  object.allow_only({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
  AddedToken token;
  token.id = static_cast<std::int32_t>(object.unsigned_integer("id", kMaxTokenizerIds - 1));
  token.content = object.string("content");
  token.single_word = object.boolean("single_word");
  token.lstrip = object.boolean("lstrip");
  token.rstrip = object.boolean("rstrip");
  token.normalized = object.boolean("normalized");
  token.special = object.boolean("special");
  if (token.content.empty()) object.fail_field("content", "is empty");
  if (token.content.size() > kMaxAddedTokenBytes) {
    refuse_component(object.path(),
                     fmt::format("a content of more than {} bytes", kMaxAddedTokenBytes));
  }
  return token;
}

// A trie of the tokens has a node for each of their bytes at most.
constexpr std::size_t kMaxTrieBytes = std::size_t{16} << 20;

void check_trie_limits(const JsonObject& model, const std::vector<std::string>& tokens) {
  std::size_t total = 0;
  for (const std::string& token : tokens) {
    if (token.size() > kMaxTrieTokenBytes) {
      refuse_component(model.path(),
                       fmt::format("a token of more than {} bytes", kMaxTrieTokenBytes));
    }
    total += token.size();
  }
  if (total > kMaxTrieBytes) {
    refuse_component(model.path(),
                     fmt::format("a vocabulary of more than {} bytes", kMaxTrieBytes));
  }
}

TokenModelPtr read_bpe(const JsonObject& model) {
  model.allow_only({"type", "dropout", "unk_token", "continuing_subword_prefix",
                    "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges", "vocab",
                    "merges"});
  if (model.optional_real("dropout").value_or(0) != 0) {
    refuse_component(model.path(), "dropout");
  }
  BpeConfig config;
  config.merges = read_merges(model);
  config.unk_token = model.optional_string("unk_token").value_or("");
  config.continuing_subword_prefix =
      model.optional_string("continuing_subword_prefix").value_or("");
  config.end_of_word_suffix = model.optional_string("end_of_word_suffix").value_or("");
  config.fuse_unk = model.optional_boolean("fuse_unk").value_or(false);
  config.byte_fallback = model.optional_boolean("byte_fallback").value_or(false);
  config.ignore_merges = model.optional_boolean("ignore_merges").value_or(false);
  const bool plain = std::ranges::all_of(config.continuing_subword_prefix, [](char c) {
    return static_cast<unsigned char>(c) < 0x80;
  });
  if (!plain) refuse_component(model.path(), "a subword prefix beyond ASCII");
  return std::make_unique<Bpe>(read_vocab(model), std::move(config), "tokenizer.json");
}

TokenModelPtr read_wordpiece(const JsonObject& model) {
  model.allow_only(
      {"type", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab"});
  const WordPieceConfig config{model.string("unk_token"), model.string("continuing_subword_prefix"),
                               model.unsigned_integer("max_input_chars_per_word")};
  Vocabulary vocabulary = read_vocab(model);
  check_trie_limits(model, vocabulary.tokens());
  return std::make_unique<WordPiece>(std::move(vocabulary), config, "tokenizer.json");
}

// 10^n as the nearest double, n from 0 to 308.
double power_of_ten(int n) {
  double power = 0;
  const std::string number = fmt::format("1e{}", n);
  std::from_chars(number.data(), number.data() + number.size(), power);
  return power;
}

// The double that `tokenizers` works with. Its JSON reader (serde_json without float_roundtrip)
// divides the decimal digits, taken as an integer, by a power of ten: off by one unit in the last
// place for one number of ten, which decides between sums that would else be equal. The digits are
// the shortest that name the number, as every writer of such files prints them.
double score_as_read(double score) {
  char buffer[32];
  const auto printed = std::to_chars(std::begin(buffer), std::end(buffer), std::abs(score),
                                     std::chars_format::scientific);
  const std::string_view text(buffer, static_cast<std::size_t>(printed.ptr - buffer));
  std::uint64_t digits = 0;
  int exponent = 0;
  const std::size_t mark = text.find('e');
  std::from_chars(text.data() + mark + 1 + (text[mark + 1] == '+' ? 1 : 0),
                  text.data() + text.size(), exponent);
  for (std::size_t i = 0; i < mark; ++i) {
    if (text[i] == '.') continue;
    digits = digits * 10 + static_cast<std::uint64_t>(text[i] - '0');
    if (i > 0) --exponent;
  }
  auto result = static_cast<double>(digits);
  if (exponent > 0) result *= power_of_ten(exponent);
  for (; exponent < -308; exponent += 308) result /= power_of_ten(308);
  if (exponent < 0) result /= power_of_ten(-exponent);
  return std::copysign(result, score);
}

TokenModelPtr read_unigram(const JsonObject& model, bool exact_scores) {
  model.allow_only({"type", "unk_id", "vocab", "byte_fallback"});
  const Json& vocab = model.at("vocab");
  if (!vocab.is_array() || vocab.empty() || vocab.size() > kMaxTokenizerIds) {
    model.fail_field("vocab", fmt::format("expected an array of 1 to {} tokens", kMaxTokenizerIds));
  }
  std::vector<std::string> tokens;
  UnigramConfig config;
  for (const Json& entry : vocab) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
      model.fail_field("vocab", fmt::format("token {}: expected [text, score]", tokens.size()));
    }
    tokens.push_back(entry[0].get<std::string>());
    const auto score = entry[1].get<double>();
    if (!std::isfinite(score)) {
      model.fail_field("vocab", fmt::format("the score of id {} is not finite", tokens.size() - 1));
    }
    config.scores.push_back(exact_scores ? score : score_as_read(score));
  }
  check_trie_limits(model, tokens);
  if (const auto unk = model.optional_unsigned("unk_id")) {
    if (*unk >= tokens.size()) {
      model.fail_field("unk_id", fmt::format("{} is no token, there are {}", *unk, tokens.size()));
    }
    config.unk_id = static_cast<std::int32_t>(*unk);
  }
  config.byte_fallback = model.optional_boolean("byte_fallback").value_or(false);
  const auto empty = std::ranges::count_if(tokens, &std::string::empty);
  return std::make_unique<Unigram>(Vocabulary(std::move(tokens), static_cast<std::uint32_t>(empty)),
                                   std::move(config));
}

}  // namespace

TokenModelPtr read_token_model(const JsonObject& model, bool exact_scores) {
  // Files from before the field existed hold BPE when they have merges.
  const std::string type =
      model.optional_string("type").value_or(model.has("merges") ? "BPE" : "without type");
  if (type == "BPE") return read_bpe(model);
  if (type == "WordPiece") return read_wordpiece(model);
  if (type == "Unigram") return read_unigram(model, exact_scores);
  refuse_component(model.path(), "model " + quote(type));
}

// `tokenizers` numbers added tokens anew while it reads them: those of the vocabulary keep its id,
// the others go on after it, whatever the file says.
std::vector<AddedToken> read_added_tokens(const JsonObject& document,
                                          const Vocabulary& vocabulary) {
  std::vector<AddedToken> tokens;
  if (document.is_null("added_tokens")) return tokens;
  std::set<std::string> contents;
  std::int32_t next = static_cast<std::int32_t>(vocabulary.token_count());
  for (const JsonObject& object : document.objects("added_tokens")) {
    AddedToken token = read_added_token(object);
    if (!contents.insert(token.content).second) {
      object.fail_field("content", quote(token.content) + " is there twice");
    }
    const auto known = vocabulary.id_of(token.content);
    if (known && *known != token.id) {
      object.fail_field("id", fmt::format("{} has id {} in the vocabulary, got {}",
                                          quote(token.content), *known, token.id));
    }
    if (!known && token.id != next) {
      refuse_component(object.path(),
                       fmt::format("token {} with id {} instead of {}, the next free one,",
                                   quote(token.content), token.id, next));
    }
    if (!known && vocabulary.has(token.id)) {
      object.fail_field(
          "id", fmt::format("{} is taken by {}", token.id, quote(vocabulary.token(token.id))));
    }
    next = std::max(next, token.id + 1);
    tokens.push_back(std::move(token));
  }
  return tokens;
}

}  // namespace organ::train
