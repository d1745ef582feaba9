// SPDX-License-Identifier: Apache-2.0
#include "train/data/dataset.h"

#include <algorithm>
#include <utility>

#include "format/base/fail.h"

namespace organ::train {
namespace {

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

void Dataset::check_not_empty() const {
  for (std::int64_t window = 0; window < windows(); ++window) {
    if (targets_in(window) > 0) return;
  }
  fail(ErrorCode::invalid_argument, "{}: no text to predict (empty, or one token per document)",
       stream_.files().empty() ? "data" : quote(stream_.files().front().name));
}

Dataset::Dataset(TokenStream stream, std::int64_t context)
    : stream_(std::move(stream)), context_(context) {}

Dataset Dataset::from_texts(const std::vector<std::filesystem::path>& files,
                            const Tokenizer& tokenizer, std::uint64_t vocab_size,
                            const Options& options) {
  Dataset data(TokenStream::from_texts(files, tokenizer, vocab_size, options.texts),
               options.context);
  if (options.packing == Packing::ffd) {
    data.packed_ =
        pack_first_fit_decreasing(data.stream_.document_starts(), data.tokens(), options.context);
  }
  data.check_not_empty();
  return data;
}

Dataset Dataset::from_ids(const std::filesystem::path& path, std::uint64_t vocab_size,
                          std::optional<std::int32_t> padding_id) {
  TokenStream stream = TokenStream::from_ids(path, vocab_size, padding_id);
  const std::int64_t context = stream.row_length();
  Dataset data(std::move(stream), context);
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
      stream_.ids().subspan(static_cast<std::size_t>(start), static_cast<std::size_t>(tokens));
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
  const auto ids = stream_.ids();
  std::size_t slot = 0;
  for (const Piece& piece : pieces) {
    const auto first = static_cast<std::int32_t>(slot);
    for (std::int64_t i = 0; i < piece.length; ++i, ++slot) {
      const auto at = static_cast<std::size_t>(piece.start + i);
      out.ids[slot] = ids[at];
      out.targets[slot] = i + 1 < piece.length ? ids[at + 1] : -1;
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
    const auto first = stream_.ids().begin() + piece.start;
    text.insert(text.end(), first, first + piece.length);
  }
  train::drop_spans(*spans_, static_cast<std::uint64_t>(pieces.front().start), text,
                    static_cast<std::size_t>(source_length()), out);
}

void Dataset::fill_from(std::int64_t start, const WindowArrays& out) const {
  const auto ids = stream_.ids();
  const auto starts = stream_.document_starts();
  const auto length = static_cast<std::int64_t>(out.ids.size());
  const std::int64_t end = std::min(start + length, tokens());
  auto next = std::upper_bound(starts.begin(), starts.end(), start);
  std::int64_t document = *std::prev(next);
  for (std::int64_t i = 0; i < length; ++i) {
    const std::int64_t at = start + i;
    const auto slot = static_cast<std::size_t>(i);
    if (at >= end) {
      pad_from(slot, out);
      break;
    }
    if (next != starts.end() && *next == at) document = *next++;
    const bool last = at + 1 == end || (next != starts.end() && *next == at + 1);
    out.ids[slot] = ids[static_cast<std::size_t>(at)];
    out.targets[slot] = last ? -1 : ids[static_cast<std::size_t>(at + 1)];
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
  const auto starts = stream_.document_starts();
  const auto first = std::upper_bound(starts.begin(), starts.end(), start);
  const auto last = std::lower_bound(first, starts.end(), end);
  return end - start - 1 - (last - first);
}

}  // namespace organ::train
