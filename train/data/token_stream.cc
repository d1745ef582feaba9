// SPDX-License-Identifier: Apache-2.0
#include "train/data/token_stream.h"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <utility>

#include <fmt/core.h>

#include "format/base/fail.h"
#include "train/data/documents.h"
#include "train/data/source/read_source.h"
#include "train/tokenizer/tokenizer.h"

namespace organ::train {
namespace {

void check_id(std::int64_t id, std::uint64_t vocab_size, std::string_view file, std::size_t at) {
  if (id >= 0 && static_cast<std::uint64_t>(id) < vocab_size) return;
  fail(ErrorCode::invalid_argument, "{}: token {} has id {}, the model's vocabulary has {}", file,
       at, id, counted(vocab_size, "entry"));
}

std::vector<std::int32_t> encode(const Tokenizer& tokenizer, std::string_view text, bool special,
                                 const std::string& file, std::size_t offset, const Work& work) {
  try {
    return tokenizer.encode(text, special, work);
  } catch (Error& error) {
    error.with_context(fmt::format("reading {} from byte {}", file, offset));
    throw;
  }
}

// What begins so is no UTF-8, and its first byte alone would be named.
void require_no_wide_mark(std::string_view text, std::string_view subject) {
  using namespace std::string_view_literals;
  const bool is_utf32 = text.starts_with("\xff\xfe\0\0"sv) || text.starts_with("\0\0\xfe\xff"sv);
  if (!is_utf32 && !text.starts_with("\xff\xfe") && !text.starts_with("\xfe\xff")) return;
  const char* form = is_utf32 ? "UTF-32" : "UTF-16";
  throw Error(ErrorCode::invalid_argument,
              fmt::format("{}: begins with the mark of {}, expected UTF-8", subject, form),
              fmt::format("iconv -f {} -t UTF-8 makes it that", form));
}

// The ids up to the padding, with the end of the text.
std::span<const std::int32_t> without_padding(std::span<const std::int32_t> ids,
                                              const std::optional<RowPadding>& padding) {
  std::size_t kept = ids.size();
  while (padding && kept > 0 && ids[kept - 1] == padding->id) --kept;
  if (padding && padding->ends_text && kept > 0 && kept < ids.size()) ++kept;
  return ids.first(kept);
}

}  // namespace

// The ids that no text brings along.
void TokenStream::check_surroundings(std::uint64_t vocab_size) const {
  std::vector<std::int32_t> ids = lead_in_;
  if (end_of_sequence_) ids.push_back(*end_of_sequence_);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    check_id(ids[i], vocab_size, "around each document", i);
  }
}

void TokenStream::add_document(std::span<const std::int32_t> ids) {
  if (ids.empty()) return;
  document_starts_.push_back(tokens());
  ids_.insert(ids_.end(), ids.begin(), ids.end());
}

// Whether a text, as encoded, begins with what stands before each document anyway.
bool TokenStream::is_led_in(std::span<const std::int32_t> text) const {
  return !lead_in_.empty() && text.size() >= lead_in_.size() &&
         std::ranges::equal(text.first(lead_in_.size()), lead_in_);
}

// Returns whether the text brought its lead-in along.
bool TokenStream::add_text(std::vector<std::int32_t> ids, const TextOptions& options) {
  const std::size_t before = options.special_tokens ? std::min(ids.size(), lead_in_.size()) : 0;
  const bool led_in = is_led_in(std::span(ids).subspan(before));
  if (end_of_sequence_ && (ids.empty() || ids.back() != *end_of_sequence_)) {
    ids.push_back(*end_of_sequence_);
  }
  if (!ids.empty()) ids.insert(ids.begin(), options.lead_in.begin(), options.lead_in.end());
  add_document(ids);
  return led_in;
}

void TokenStream::warn_of_lead_ins(std::size_t documents) {
  if (documents == 0) return;
  std::string warning = fmt::format("{} of {} begin with their lead-in (id {}", documents,
                                    counted(document_starts_.size(), "document"), lead_in_.front());
  for (std::size_t i = 1; i < lead_in_.size(); ++i) warning += fmt::format(", {}", lead_in_[i]);
  warning += ") already and stand behind it twice: take it out of the text";
  if (documents == document_starts_.size()) warning += ", or put none before it (--lead-in none)";
  warnings_.push_back(std::move(warning));
}

void TokenStream::warn_of_json_lines(const std::filesystem::path& path) {
  std::string ending = path.extension().string();
  std::ranges::transform(ending, ending.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (ending != ".jsonl" && ending != ".ndjson") return;
  warnings_.push_back(fmt::format(
      "{}: read as text: braces, names and quotes of its JSON are targets like the rest",
      quote(path.string())));
}

void TokenStream::warn_of_nul(std::string_view text, std::string_view subject) {
  if (text.find('\0') == text.npos) return;
  warnings_.push_back(
      fmt::format("{}: has NUL characters, which are targets like the rest; a text of UTF-16 is "
                  "to be made UTF-8 first",
                  subject));
}

// A pattern and a name beside it, a link, a second spelling of a path, a paragraph that comes
// again: the same text is not more evidence.
void TokenStream::warn_of_copies(const std::vector<Origin>& origins) {
  constexpr std::int64_t kFew = 100;  // less than one token in so many: headings, rules
  const Digest blank = sha256(std::string_view());  // of documents of blanks alone
  const auto name = [&](std::size_t document) {
    return fmt::format("document {} ({})", document + 1,
                       quote(files_[origins[document].file].path));
  };
  const auto contents = [&](std::size_t document) -> const Digest& {
    return origins[document].contents;
  };
  std::vector<std::size_t> order(origins.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, contents);
  std::size_t copies = 0, first = 0;  // in `order`: of the documents equal to the one at i
  std::int64_t copied_tokens = 0;
  std::pair<std::size_t, std::size_t> example{order.size(), 0};  // the copy that comes first
  for (std::size_t i = 1; i < order.size(); ++i) {
    const std::size_t document = order[i];
    if (contents(document) != contents(order[first])) {
      first = i;
    } else if (contents(document) != blank) {
      ++copies;
      copied_tokens += document_end(document) - document_starts_[document];
      example = std::min(example, {document, order[first]});
    }
  }
  if (copies == 0 || copied_tokens * kFew < tokens()) return;
  warnings_.push_back(
      fmt::format("{} of {}, {:.1f} % of the tokens, hold what another one holds ({} is {}): that "
                  "text counts more than once, in figures and their intervals too",
                  copies, counted(document_starts_.size(), "document"),
                  100 * static_cast<double>(copied_tokens) / static_cast<double>(tokens()),
                  name(example.first), name(example.second)));
}

std::int64_t TokenStream::document_end(std::size_t document) const {
  return document + 1 < document_starts_.size() ? document_starts_[document + 1] : tokens();
}

TokenStream TokenStream::from_texts(const std::vector<TextSource>& texts,
                                    const Tokenizer& tokenizer, std::uint64_t vocab_size,
                                    const TextOptions& options, const Work& work) {
  const Work reading = work.phase("reading texts", bytes_ahead(texts));
  if (options.special_tokens && !options.lead_in.empty()) {
    fail(ErrorCode::invalid_argument, "lead-in: the tokenizer's special tokens lead in already");
  }
  TokenStream stream;
  stream.text_bytes_ = 0;
  stream.text_words_ = 0;
  stream.split_ = options.split;
  stream.lead_in_ = options.special_tokens ? tokenizer.before_text() : options.lead_in;
  if (options.end_of_sequence) stream.end_of_sequence_ = tokenizer.eos();
  stream.check_surroundings(vocab_size);
  std::size_t led_in = 0;
  std::vector<Origin> origins;
  for (const TextSource& source : texts) {
    const std::filesystem::path& path = source.path();
    stream.warn_of_json_lines(path);
    const TextBytes bytes(source);
    const std::string_view text = bytes.text();
    const std::string subject = quote(path.string());
    require_no_wide_mark(text, subject);
    stream.warn_of_nul(text, subject);
    const std::int64_t before = stream.tokens();
    std::optional<Digest> contents;                // of the text, where one document is all of it
    std::size_t told = 0;                          // bytes of the text
    const auto pass_over = [&](std::size_t end) {  // what is between documents
      if (end > told) reading.advance(end - told);
      told = end;
    };
    for (const auto document : split_documents(text, options.split)) {
      const auto start = static_cast<std::size_t>(document.data() - text.data());
      pass_over(start);
      auto ids = encode(tokenizer, document, options.special_tokens, subject, start, reading);
      told = start + document.size();
      for (std::size_t i = 0; i < ids.size(); ++i) check_id(ids[i], vocab_size, subject, i);
      led_in += stream.add_text(std::move(ids), options);
      if (origins.size() < stream.document_starts_.size()) {
        origins.push_back({sha256(as_saved_anyhow(document)), stream.files_.size()});
        if (document.size() == text.size()) contents = origins.back().contents;
      }
      *stream.text_bytes_ += document.size();
      *stream.text_words_ += count_words(document);
    }
    pass_over(text.size());
    stream.files_.push_back({.name = path.filename().string(),
                             .path = path.string(),
                             .digest = sha256(text),
                             .contents = contents ? *contents : sha256(as_saved_anyhow(text)),
                             .bytes = text.size(),
                             .tokens = static_cast<std::uint64_t>(stream.tokens() - before)});
  }
  stream.warn_of_lead_ins(led_in);
  stream.warn_of_copies(origins);
  return stream;
}

// Each row a document.
void TokenStream::add_rows(std::span<const std::int32_t> ids,
                           const std::optional<RowPadding>& padding, std::vector<Origin>& origins) {
  const auto length = static_cast<std::size_t>(row_length_);
  bool ended = false;
  for (std::size_t start = 0; start < ids.size(); start += length) {
    const auto text = without_padding(ids.subspan(start, length), padding);
    ended = ended || (padding && padding->ends_text && !text.empty() && text.back() == padding->id);
    row_starts_.push_back(tokens());
    add_document(text);
    if (!text.empty()) origins.push_back({sha256(std::as_bytes(text)), 0});
  }
  row_starts_.push_back(tokens());
  if (!ended) return;
  warnings_.push_back(
      fmt::format("--pad-id {} is an end of text too: the first behind each row's text is kept as "
                  "its end, a target",
                  padding->id));
}

TokenStream TokenStream::from_ids(const IdsSource& source, std::uint64_t vocab_size,
                                  std::optional<RowPadding> padding) {
  const IdRows rows = read_rows(source);
  TokenStream stream;
  stream.row_length_ = static_cast<std::int64_t>(rows.length);
  if (padding) stream.padding_id_ = padding->id;
  const std::span<const std::int64_t> read = rows.ids();
  std::vector<std::int32_t> ids(read.size());
  for (std::size_t i = 0; i < read.size(); ++i) {
    check_id(read[i], vocab_size, rows.subject, i);
    ids[i] = static_cast<std::int32_t>(read[i]);
  }
  std::vector<Origin> origins;
  stream.add_rows(ids, padding, origins);
  stream.files_.push_back({.name = source.path().filename().string(),
                           .path = source.path().string(),
                           .digest = rows.source.digest,
                           .contents = rows.source.digest,
                           .bytes = rows.source.size,
                           .tokens = static_cast<std::uint64_t>(stream.tokens())});
  stream.warn_of_copies(origins);
  return stream;
}

std::int64_t TokenStream::text_tokens() const {
  return tokens() - static_cast<std::int64_t>(lead_in_.size() * document_starts_.size());
}

std::optional<std::vector<std::uint64_t>> TokenStream::recorded_lead_in() const {
  if (!row_starts_.empty()) return std::nullopt;
  return std::vector<std::uint64_t>(lead_in_.begin(), lead_in_.end());
}

std::int64_t TokenStream::text_start(std::int64_t token) const {
  const auto next = std::upper_bound(document_starts_.begin(), document_starts_.end(), token);
  return *std::prev(next) + static_cast<std::int64_t>(lead_in_.size());
}

Digest TokenStream::digest() const {
  std::vector<Digest> files;
  files.reserve(files_.size());
  for (const auto& file : files_) files.push_back(file.digest);
  return digest_of_files(files);
}

Digest digest_of_files(std::span<const Digest> files) {
  if (files.size() == 1) return files.front();
  std::string lines;
  for (const Digest& file : files) lines += file.to_string() + "\n";
  return sha256(lines);
}

void check_disjoint(const TokenStream& training, const TokenStream& held_out) {
  const Digest nothing = sha256(std::string_view());  // said by blank texts
  for (const auto& file : held_out.files()) {
    for (const auto& other : training.files()) {
      if (file.contents != other.contents || file.contents == nothing) continue;
      throw Error(
          ErrorCode::invalid_argument,
          fmt::format("held-out file {}: has the same {} as the training file {}", quote(file.path),
                      file.digest == other.digest ? "contents" : "text, saved in another way,",
                      quote(other.path)),
          "take it out of one of the two");
    }
  }
}

}  // namespace organ::train
