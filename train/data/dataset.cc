// SPDX-License-Identifier: Apache-2.0
#include "train/data/dataset.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/core.h>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/tensor/safetensors.h"
#include "train/data/documents.h"
#include "train/tokenizer/tokenizer.h"

namespace organ::train {
namespace {

constexpr std::uint64_t kTextLimit = std::uint64_t{1} << 30;
constexpr std::uint64_t kIdsLimit = std::uint64_t{1} << 33;

void check_id(std::int64_t id, std::uint64_t vocab_size, std::string_view file, std::size_t at) {
  if (id >= 0 && static_cast<std::uint64_t>(id) < vocab_size) return;
  fail(ErrorCode::invalid_argument, "{}: token {} has id {}, the model's vocabulary has {} entries",
       file, at, id, vocab_size);
}

std::vector<std::int32_t> encode(const Tokenizer& tokenizer, std::string_view text, bool special,
                                 const std::string& file, std::size_t offset) {
  try {
    return tokenizer.encode(text, special);
  } catch (Error& error) {
    error.with_context(fmt::format("while reading {} from byte {}", file, offset));
    throw;
  }
}

std::optional<std::int32_t> lead_in_of(const Tokenizer& tokenizer, bool wanted) {
  if (!wanted) return std::nullopt;
  if (tokenizer.bos()) return tokenizer.bos();
  if (tokenizer.eos()) return tokenizer.eos();
  throw Error(ErrorCode::invalid_argument,
              "tokenizer: names neither bos_token nor eos_token to put before a document");
}

// The ids up to the padding.
std::span<const std::int32_t> without_padding(std::span<const std::int32_t> ids,
                                              std::optional<std::int32_t> padding_id) {
  while (padding_id && !ids.empty() && ids.back() == *padding_id) ids = ids.first(ids.size() - 1);
  return ids;
}

std::vector<std::int64_t> read_rows(const format::SafetensorsFile& file,
                                    const format::TensorInfo& ids) {
  if (ids.dtype != format::DType::I64 || ids.shape.size() != 2) {
    fail(ErrorCode::corrupt, "{}: tensor 'ids' is {} {}, expected I64 [windows, length]",
         file.subject(), format::to_string(ids.dtype), format::to_string(ids.shape));
  }
  if (ids.size == 0 || ids.shape[1] < 2) {
    fail(ErrorCode::invalid_argument, "{}: tensor 'ids' has shape {}, no window has a target",
         file.subject(), format::to_string(ids.shape));
  }
  if (ids.size > kIdsLimit) {
    fail(ErrorCode::invalid_argument, "{}: tensor 'ids' has {} bytes, at most {} are read",
         file.subject(), ids.size, kIdsLimit);
  }
  std::vector<std::int64_t> values(ids.size / sizeof(std::int64_t));
  file.read(ids, std::as_writable_bytes(std::span(values)));
  return values;
}

// Padding attends to itself and predicts nothing.
// Slots [first, first + count) of a window.
WindowArrays part_of(const WindowArrays& window, std::size_t first, std::size_t count) {
  return {window.ids.subspan(first, count), window.targets.subspan(first, count),
          window.first_key.subspan(first, count)};
}

void pad_from(std::size_t slot, const WindowArrays& out) {
  for (; slot < out.ids.size(); ++slot) {
    out.ids[slot] = 0;
    out.targets[slot] = -1;
    out.first_key[slot] = static_cast<std::int32_t>(slot);
  }
}

}  // namespace

void Dataset::add_document(std::span<const std::int32_t> ids) {
  if (ids.empty()) return;
  document_starts_.push_back(tokens());
  ids_.insert(ids_.end(), ids.begin(), ids.end());
}

void Dataset::check_not_empty() const {
  for (std::int64_t window = 0; window < windows(); ++window) {
    if (targets_in(window) > 0) return;
  }
  fail(ErrorCode::invalid_argument, "{}: no text to predict (empty, or one token per document)",
       files_.empty() ? "data" : quote(files_.front().name));
}

Dataset Dataset::from_texts(const std::vector<std::filesystem::path>& files,
                            const Tokenizer& tokenizer, std::uint64_t vocab_size,
                            const Options& options) {
  Dataset data;
  data.context_ = options.context;
  data.text_bytes_ = 0;
  data.text_words_ = 0;
  data.lead_in_ = options.lead_in;
  const auto lead_in = lead_in_of(tokenizer, options.lead_in);
  for (const auto& path : files) {
    const std::string text = read_file(path, kTextLimit);
    const std::string subject = quote(path.string());
    const std::int64_t before = data.tokens();
    for (const auto document : split_documents(text, options.split)) {
      auto ids = encode(tokenizer, document, options.special_tokens, subject,
                        static_cast<std::size_t>(document.data() - text.data()));
      for (std::size_t i = 0; i < ids.size(); ++i) check_id(ids[i], vocab_size, subject, i);
      if (options.end_of_sequence && tokenizer.eos()) ids.push_back(*tokenizer.eos());
      if (lead_in) ids.insert(ids.begin(), *lead_in);
      data.add_document(ids);
      *data.text_bytes_ += document.size();
      *data.text_words_ += count_words(document);
    }
    data.files_.push_back({.name = path.filename().string(),
                           .digest = sha256(text),
                           .bytes = text.size(),
                           .tokens = static_cast<std::uint64_t>(data.tokens() - before)});
  }
  if (options.packing == Packing::ffd) {
    data.packed_ = pack_first_fit_decreasing(data.document_starts_, data.tokens(), options.context);
  }
  data.check_not_empty();
  return data;
}

Dataset Dataset::from_ids(const std::filesystem::path& path, std::uint64_t vocab_size,
                          std::optional<std::int32_t> padding_id) {
  const auto file = format::SafetensorsFile::open(path);
  const auto& info = file.tensor("ids");
  const auto rows = read_rows(file, info);
  Dataset data;
  data.context_ = static_cast<std::int64_t>(info.shape[1]);
  std::vector<std::int32_t> ids(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    check_id(rows[i], vocab_size, file.subject(), i);
    ids[i] = static_cast<std::int32_t>(rows[i]);
  }
  const auto length = static_cast<std::size_t>(data.context_);
  for (std::size_t start = 0; start < ids.size(); start += length) {
    data.add_document(without_padding(std::span(ids).subspan(start, length), padding_id));
  }
  const auto digest = hash_file(file.fd(), file.subject());
  data.files_.push_back({.name = path.filename().string(),
                         .digest = digest.digest,
                         .bytes = digest.size,
                         .tokens = static_cast<std::uint64_t>(data.tokens())});
  data.check_not_empty();
  return data;
}

std::int64_t Dataset::windows() const {
  return packed_ ? packed_->count() : (tokens() + context_ - 1) / context_;
}

double Dataset::filled_share() const {
  std::int64_t placed = tokens();
  if (packed_) {
    placed = 0;
    for (const Piece& piece : packed_->pieces) placed += piece.length;
  }
  return static_cast<double>(placed) / static_cast<double>(windows() * context_);
}

void Dataset::drop_spans(SpanDraw draw) { spans_ = std::move(draw); }

Task Dataset::task() const {
  if (spans_) return Task::spans;
  return mask_ ? Task::hidden_tokens : Task::next_token;
}

std::int64_t Dataset::row_length() const {
  if (!spans_) return context_;
  const SpanLengths lengths = span_lengths(static_cast<std::size_t>(context_));
  return static_cast<std::int64_t>(lengths.source + lengths.target);
}

std::int64_t Dataset::source_length() const {
  if (!spans_) return 0;
  return static_cast<std::int64_t>(span_lengths(static_cast<std::size_t>(context_)).source);
}

void Dataset::fill_spans(std::int64_t start, std::int64_t tokens, const WindowArrays& out) const {
  const auto text =
      std::span(ids_).subspan(static_cast<std::size_t>(start), static_cast<std::size_t>(tokens));
  train::drop_spans(*spans_, static_cast<std::uint64_t>(start), text,
                    static_cast<std::size_t>(source_length()), out);
}

std::vector<std::int64_t> Dataset::span_targets(std::int64_t start, std::int64_t tokens) const {
  std::vector<std::int64_t> of_stream;
  for (const std::size_t place : span_target_places(*spans_, static_cast<std::uint64_t>(start),
                                                    static_cast<std::size_t>(tokens))) {
    of_stream.push_back(start + static_cast<std::int64_t>(place));
  }
  return of_stream;
}

void Dataset::fill(std::int64_t window, const WindowArrays& out) const {
  if (spans_) {
    if (packed_) return drop_spans_of(packed_->window(window), out);
    const std::int64_t start = window * context_;
    return fill_spans(start, std::min(context_, tokens() - start), out);
  }
  if (packed_) return fill_pieces(packed_->window(window), out);
  fill_from(window * context_, out);
}

void Dataset::fill_pieces(std::span<const Piece> pieces, const WindowArrays& out) const {
  std::size_t slot = 0;
  for (const Piece& piece : pieces) {
    const auto first = static_cast<std::int32_t>(slot);
    for (std::int64_t i = 0; i < piece.length; ++i, ++slot) {
      const auto at = static_cast<std::size_t>(piece.start + i);
      out.ids[slot] = ids_[at];
      out.targets[slot] = i + 1 < piece.length ? ids_[at + 1] : -1;
      out.first_key[slot] = first;
    }
    const auto count = static_cast<std::size_t>(piece.length);
    hide(piece.start, count, part_of(out, slot - count, count));
  }
  pad_from(slot, out);
}

// The pieces one behind the other are the text of the window.
void Dataset::drop_spans_of(std::span<const Piece> pieces, const WindowArrays& out) const {
  std::vector<std::int32_t> text;
  for (const Piece& piece : pieces) {
    const auto first = ids_.begin() + piece.start;
    text.insert(text.end(), first, first + piece.length);
  }
  train::drop_spans(*spans_, static_cast<std::uint64_t>(pieces.front().start), text,
                    static_cast<std::size_t>(source_length()), out);
}

void Dataset::fill_from(std::int64_t start, const WindowArrays& out) const {
  const auto length = static_cast<std::int64_t>(out.ids.size());
  const std::int64_t end = std::min(start + length, tokens());
  auto next = std::upper_bound(document_starts_.begin(), document_starts_.end(), start);
  std::int64_t document = *std::prev(next);
  for (std::int64_t i = 0; i < length; ++i) {
    const std::int64_t at = start + i;
    const auto slot = static_cast<std::size_t>(i);
    if (at >= end) {
      pad_from(slot, out);
      break;
    }
    if (next != document_starts_.end() && *next == at) document = *next++;
    const bool last = at + 1 == end || (next != document_starts_.end() && *next == at + 1);
    out.ids[slot] = ids_[static_cast<std::size_t>(at)];
    out.targets[slot] = last ? -1 : ids_[static_cast<std::size_t>(at + 1)];
    out.first_key[slot] = static_cast<std::int32_t>(std::max<std::int64_t>(0, document - start));
  }
  hide(start, static_cast<std::size_t>(end - start), out);
}

void Dataset::hide(std::int64_t start, std::size_t count, const WindowArrays& out) const {
  if (mask_) train::hide_tokens(*mask_, static_cast<std::uint64_t>(start), count, out);
}

std::int64_t Dataset::drawn_in(std::int64_t window) const {
  const auto length = static_cast<std::size_t>(row_length());
  std::vector<std::int64_t> ids(length), targets(length);
  std::vector<std::int32_t> first_key(length);
  fill(window, {ids, targets, first_key});
  return std::count_if(targets.begin(), targets.end(), [](std::int64_t id) { return id >= 0; });
}

std::int64_t Dataset::targets_in(std::int64_t window) const {
  if (mask_ || spans_) return drawn_in(window);
  if (packed_) {
    std::int64_t targets = 0;
    for (const Piece& piece : packed_->window(window)) targets += piece.length - 1;
    return targets;
  }
  const std::int64_t start = window * context_;
  const std::int64_t end = std::min(start + context_, tokens());
  const auto first = std::upper_bound(document_starts_.begin(), document_starts_.end(), start);
  const auto last = std::lower_bound(first, document_starts_.end(), end);
  return end - start - 1 - (last - first);
}

Digest Dataset::digest() const {
  if (files_.size() == 1) return files_.front().digest;
  std::string lines;
  for (const auto& file : files_) lines += file.digest.to_string() + "\n";
  return sha256(lines);
}

}  // namespace organ::train
