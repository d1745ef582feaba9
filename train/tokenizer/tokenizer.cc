// SPDX-License-Identifier: Apache-2.0
#include "train/tokenizer/tokenizer.h"

#include <algorithm>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "train/tokenizer/internal/reader.h"
#include "train/tokenizer/text/unicode.h"

namespace organ::train {
namespace {

constexpr std::size_t kMaxTextBytes = std::size_t{1} << 30;

// Bytes [begin, begin + size) of a text as it was given.
struct Stretch {
  std::uint64_t begin, size;
};

// One call of encode().
class Encoding {
 public:
  Encoding(std::unique_ptr<TokenModel::Session> session, const Work& work)
      : session_(std::move(session)), work_(work) {}

  std::vector<std::int32_t> ids;

  // An added token that ends at `end`.
  void add(std::int32_t id, std::uint64_t end) {
    ids.push_back(id);
    count(end);
  }
  // The ids of all pieces, which `of` became.
  void add(const Pieces& pieces, Stretch of) {
    const auto given = [&](std::uint64_t at) {
      return of.begin + of.size * at / pieces.text.size();
    };
    std::uint32_t begin = 0;  // of the piece
    session_->reached = [&](std::size_t at) { reach(given(begin + at)); };
    for (const Span span : pieces.spans) {
      begin = span.begin;
      session_->encode(pieces.view(span), ids);
      count(given(span.end));
    }
    session_->forget();  // its words are views of `pieces`
  }
  // The bytes before `end` are done.
  void reach(std::uint64_t end) {
    if (end <= done_) return;
    work_.advance(end - done_);
    done_ = end;
  }

 private:
  static constexpr std::size_t kPiecesTold = 4096;

  void count(std::uint64_t end) {
    if (++untold_ < kPiecesTold) return;
    untold_ = 0;
    reach(end);
  }

  std::unique_ptr<TokenModel::Session> session_;
  const Work& work_;
  std::uint64_t done_ = 0;
  std::size_t untold_ = 0;  // pieces
};

}  // namespace

struct Tokenizer::Impl {
  explicit Impl(format::TokenizerFiles files);

  void add_tokens(const std::vector<AddedToken>& tokens,
                  const std::set<std::string>& once_normalized);
  void check_template() const;
  void encode_text(std::string_view text, bool at_start, Stretch of, Encoding& encoding) const;
  void encode_normalized(std::string text, bool at_start, Stretch of, Encoding& encoding) const;
  const std::string* token(std::int32_t id) const;
  std::optional<std::int32_t> special_id(const std::string& name) const;

  TokenModelPtr model;
  NormalizerPtr normalizer;
  PreTokenizerPtr pre_tokenizer;
  DecoderPtr decoder;
  Template around;
  std::map<std::int32_t, AddedToken> added;  // by id; contents as they are looked for
  std::map<std::string, std::int32_t, std::less<>> added_ids;
  AddedTokenFinder verbatim;    // looked for before normalisation
  AddedTokenFinder normalized;  // and after
  std::uint32_t ids = 0;
  std::map<std::string, std::string> special_names;
  bool split_special;
};

Tokenizer::Impl::Impl(format::TokenizerFiles files)
    : model(read_token_model(JsonObject(*files.document, "tokenizer.json").object("model"),
                             files.exact_scores)),
      special_names(std::move(files.special_names)),
      split_special(files.split_special_tokens) {
  const JsonObject document(*files.document, "tokenizer.json");
  document.allow_only({"version", "truncation", "padding", "added_tokens", "normalizer",
                       "pre_tokenizer", "post_processor", "decoder", "model"});
  const auto part = [&](const char* key) {
    return document.has(key) ? document.at(key) : Json(nullptr);
  };
  normalizer = read_normalizer(part("normalizer"), "tokenizer.json: normalizer");
  pre_tokenizer = read_pre_tokenizer(part("pre_tokenizer"), "tokenizer.json: pre_tokenizer");
  decoder = read_decoder(part("decoder"), "tokenizer.json: decoder");
  around = read_post_processor(part("post_processor"), "tokenizer.json: post_processor");
  if (normalizer && pre_tokenizer && normalizer->prepends() && pre_tokenizer->asks_for_start()) {
    refuse_component("tokenizer.json: pre_tokenizer", "Metaspace 'first' after Prepend");
  }
  add_tokens(read_added_tokens(document, model->vocabulary()), files.once_normalized);
  check_template();
}

void Tokenizer::Impl::add_tokens(const std::vector<AddedToken>& tokens,
                                 const std::set<std::string>& once_normalized) {
  ids = model->vocabulary().size();
  for (const AddedToken& token : tokens) {
    ids = std::max(ids, static_cast<std::uint32_t>(token.id) + 1);
    added_ids.emplace(token.content, token.id);
  }
  std::set<std::string> special, seen;
  for (const AddedToken& token : tokens) {
    if (token.special) special.insert(token.content);
  }
  for (AddedToken token : tokens) {
    std::string text = token.content;
    const bool changed = token.normalized || once_normalized.contains(text);
    if (changed && normalizer) normalizer->apply(text);
    if (token.normalized) token.content = text;
    if (!seen.insert((token.normalized ? "n" : "v") + token.content).second) {
      refuse_component("tokenizer.json: added_tokens",
                       "two tokens that normalise to " + quote(token.content) + ": this");
    }
    // `tokenizers` knows special tokens by their text, so one that normalisation changes is none.
    token.special = special.contains(text);
    (token.normalized ? normalized : verbatim).add(token);
    token.content = std::move(text);
    added.emplace(token.id, std::move(token));
  }
}

void Tokenizer::Impl::check_template() const {
  for (const auto* side : {&around.before, &around.after}) {
    for (const std::int32_t id : *side) {
      if (token(id) == nullptr) {
        fail(ErrorCode::corrupt, "tokenizer.json: post_processor: id {} names no token", id);
      }
    }
  }
}

// The token of an id, null when there is none.
const std::string* Tokenizer::Impl::token(std::int32_t id) const {
  if (const auto found = added.find(id); found != added.end()) return &found->second.content;
  const Vocabulary& vocabulary = model->vocabulary();
  return vocabulary.has(id) ? &vocabulary.token(id) : nullptr;
}

void Tokenizer::Impl::encode_text(std::string_view text, bool at_start, Stretch of,
                                  Encoding& encoding) const {
  std::string current(text);
  if (normalizer) at_start = normalizer->apply(current) && at_start;
  if (normalized.empty()) return encode_normalized(std::move(current), at_start, of, encoding);
  for (const TokenOrText& part : normalized.split(current, split_special)) {
    const std::uint64_t begin = of.size * part.span.begin / current.size();
    const std::uint64_t end = of.size * part.span.end / current.size();
    if (part.id >= 0) {
      encoding.add(part.id, of.begin + end);
    } else {
      encode_normalized(current.substr(part.span.begin, part.span.end - part.span.begin),
                        at_start && part.span.begin == 0, {of.begin + begin, end - begin},
                        encoding);
    }
  }
}

void Tokenizer::Impl::encode_normalized(std::string text, bool at_start, Stretch of,
                                        Encoding& encoding) const {
  if (text.empty()) return;
  const std::uint32_t end = checked_position(text.size());
  Pieces pieces{std::move(text), {{0, end}}, at_start};
  if (pre_tokenizer) pre_tokenizer->apply(pieces);
  encoding.add(pieces, of);
}

std::optional<std::int32_t> Tokenizer::Impl::special_id(const std::string& name) const {
  const auto found = special_names.find(name);
  if (found == special_names.end()) return std::nullopt;
  const auto added_id = added_ids.find(found->second);
  return added_id != added_ids.end() ? std::optional(added_id->second)
                                     : model->vocabulary().id_of(found->second);
}

Tokenizer::Tokenizer(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

Tokenizer Tokenizer::open(const std::filesystem::path& path) {
  return Tokenizer(std::make_shared<const Impl>(read_tokenizer(path)));
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view utf8, bool add_special,
                                            const Work& work) const {
  if (utf8.size() > kMaxTextBytes) {
    fail(ErrorCode::invalid_argument, "text: {} bytes, at most {} are encoded at once", utf8.size(),
         kMaxTextBytes);
  }
  if (const auto at = find_invalid_utf8(utf8)) {
    fail(ErrorCode::invalid_argument, "text: byte {} is not valid UTF-8", *at);
  }
  Encoding encoding(impl_->model->session(), work);
  if (add_special) encoding.ids = impl_->around.before;
  for (const TokenOrText& part : impl_->verbatim.split(utf8, impl_->split_special)) {
    if (part.id >= 0) {
      encoding.add(part.id, part.span.end);
    } else {
      const Stretch stretch{part.span.begin, part.span.end - part.span.begin};
      impl_->encode_text(utf8.substr(stretch.begin, stretch.size), stretch.begin == 0, stretch,
                         encoding);
    }
  }
  encoding.reach(utf8.size());
  std::vector<std::int32_t> ids = std::move(encoding.ids);
  if (add_special) ids.insert(ids.end(), impl_->around.after.begin(), impl_->around.after.end());
  return ids;
}

std::vector<std::int32_t> Tokenizer::before_text() const { return impl_->around.before; }

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  std::vector<std::string> tokens;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0) {
      fail(ErrorCode::invalid_argument, "ids: position {}: id {} is negative", i, ids[i]);
    }
    const std::string* token = impl_->token(ids[i]);
    if (token == nullptr) continue;
    const auto added = impl_->added.find(ids[i]);
    const bool skipped = skip_special && added != impl_->added.end() && added->second.special;
    if (!skipped) tokens.push_back(*token);
  }
  if (impl_->decoder) impl_->decoder->apply(tokens);
  std::string text;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (!impl_->decoder && i > 0) text += ' ';
    text += tokens[i];
  }
  return replace_invalid_utf8(std::move(text));
}

std::uint32_t Tokenizer::vocab_size() const { return impl_->ids; }

std::optional<std::int32_t> Tokenizer::token_to_id(std::string_view token) const {
  const auto added = impl_->added_ids.find(token);
  return added != impl_->added_ids.end() ? std::optional(added->second)
                                         : impl_->model->vocabulary().id_of(token);
}

std::string_view Tokenizer::id_to_token(std::int32_t id) const {
  const std::string* token = impl_->token(id);
  return token == nullptr ? std::string_view() : std::string_view(*token);
}

std::optional<std::int32_t> Tokenizer::bos() const { return impl_->special_id("bos_token"); }
std::optional<std::int32_t> Tokenizer::eos() const { return impl_->special_id("eos_token"); }
std::optional<std::int32_t> Tokenizer::pad() const { return impl_->special_id("pad_token"); }
std::optional<std::int32_t> Tokenizer::unk() const {
  const auto named = impl_->special_id("unk_token");
  return named ? named : impl_->model->unk();
}

}  // namespace organ::train
