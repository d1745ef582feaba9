// SPDX-License-Identifier: Apache-2.0
#include "train/data/dataset.h"

#include <algorithm>
#include <numbers>
#include <utility>

#include "format/base/fail.h"

namespace organ::train {
namespace {

// Slots [first, first + count) of a window.
WindowArrays part_of(const WindowArrays& window, std::size_t first, std::size_t count) {
  return {window.ids.subspan(first, count), window.targets.subspan(first, count),
          window.first_key.subspan(first, count)};
}

// Padding attends to itself and predicts nothing.
void pad_from(std::size_t slot, const WindowArrays& out) {
  for (; slot < out.ids.size(); ++slot) {
    out.ids[slot] = 0;
    out.targets[slot] = -1;
    out.first_key[slot] = static_cast<std::int32_t>(slot);
  }
}

// Each row of ids as a window of its own.
PackedWindows windows_of_rows(std::span<const std::int64_t> row_starts) {
  PackedWindows windows;
  windows.first_piece.push_back(0);
  for (std::size_t row = 0; row + 1 < row_starts.size(); ++row) {
    windows.pieces.push_back({row_starts[row], row_starts[row + 1] - row_starts[row]});
    windows.first_piece.push_back(windows.pieces.size());
  }
  return windows;
}

}  // namespace

// The first that has a target.
std::int64_t Dataset::first_window() const {
  for (std::int64_t window = 0; window < windows(); ++window) {
    if (targets_in(window) > 0) return window;
  }
  fail(ErrorCode::invalid_argument, "{}: no text to predict (empty, or one token per document)",
       stream_.files().empty() ? "data" : quote(stream_.files().front().name));
}

std::int64_t Dataset::fullest_window() const {
  constexpr std::int64_t kLookedAt = 64;
  std::int64_t best = first_window(), most = targets_in(best);
  for (std::int64_t i = best + 1; i < std::min(windows(), best + kLookedAt); ++i) {
    const std::int64_t targets = targets_in(i);
    if (targets <= most) continue;
    best = i;
    most = targets;
  }
  return best;
}

Dataset::Dataset(TokenStream stream, std::int64_t context)
    : stream_(std::move(stream)), context_(context) {}

Dataset Dataset::from_texts(const std::vector<TextSource>& texts, const Tokenizer& tokenizer,
                            std::uint64_t vocab_size, const Options& options, const Work& work) {
  if (options.context < 2) {
    fail(ErrorCode::invalid_argument, "context: {} is out of range, expected 2 or more",
         options.context);
  }
  Dataset data(TokenStream::from_texts(texts, tokenizer, vocab_size, options.texts, work),
               options.context);
  if (options.packing == Packing::ffd) {
    data.packed_ =
        pack_first_fit_decreasing(data.stream_.document_starts(), data.tokens(), options.context);
  }
  (void)data.first_window();
  return data;
}

Dataset Dataset::from_ids(const IdsSource& source, std::uint64_t vocab_size,
                          std::optional<RowPadding> padding) {
  TokenStream stream = TokenStream::from_ids(source, vocab_size, padding);
  const std::int64_t context = stream.row_length();
  Dataset data(std::move(stream), context);
  data.packed_ = windows_of_rows(data.stream_.row_starts());
  (void)data.first_window();
  return data;
}

std::int64_t Dataset::windows() const {
  return packed_ ? packed_->count() : (tokens() + context_ - 1) / context_;
}

std::optional<Packing> Dataset::packing() const {
  if (!stream_.row_starts().empty()) return std::nullopt;
  return packed_ ? Packing::ffd : Packing::concat;
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

std::optional<std::uint64_t> Dataset::draw_seed() const {
  if (spans_) return spans_->seed;
  return mask_ ? std::optional(mask_->seed) : std::nullopt;
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

SpanDraw Dataset::span_draw(std::uint64_t epoch) const {
  SpanDraw draw = *spans_;
  draw.seed = seed_of_epoch(draw.seed, epoch);
  return draw;
}

void Dataset::fill_spans(std::int64_t start, std::int64_t tokens, const WindowArrays& out,
                         std::uint64_t epoch) const {
  const auto text =
      stream_.ids().subspan(static_cast<std::size_t>(start), static_cast<std::size_t>(tokens));
  train::drop_spans(span_draw(epoch), static_cast<std::uint64_t>(start), text,
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

void Dataset::fill(std::int64_t window, const WindowArrays& out, std::uint64_t epoch) const {
  if (spans_) {
    if (packed_) return drop_spans_of(packed_->window(window), out, epoch);
    const std::int64_t start = window * context_;
    return fill_spans(start, std::min(context_, tokens() - start), out, epoch);
  }
  if (packed_) return fill_pieces(packed_->window(window), out, epoch);
  fill_from(window * context_, out, epoch);
}

void Dataset::fill_pieces(std::span<const Piece> pieces, const WindowArrays& out,
                          std::uint64_t epoch) const {
  const auto ids = stream_.ids();
  std::size_t slot = 0;
  for (const Piece& piece : pieces) {
    if (piece.length == 0) continue;
    const auto first = static_cast<std::int32_t>(slot);
    const auto text = static_cast<std::size_t>(stream_.text_start(piece.start));
    for (std::int64_t i = 0; i < piece.length; ++i, ++slot) {
      const auto at = static_cast<std::size_t>(piece.start + i);
      const bool target = i + 1 < piece.length && at + 1 >= text;
      out.ids[slot] = ids[at];
      out.targets[slot] = target ? ids[at + 1] : -1;
      out.first_key[slot] = first;
    }
    const auto count = static_cast<std::size_t>(piece.length);
    hide(piece.start, count, part_of(out, slot - count, count), epoch);
  }
  pad_from(slot, out);
}

// The pieces one behind the other are the text of the window.
void Dataset::drop_spans_of(std::span<const Piece> pieces, const WindowArrays& out,
                            std::uint64_t epoch) const {
  std::vector<std::int32_t> text;
  for (const Piece& piece : pieces) {
    const auto first = stream_.ids().begin() + piece.start;
    text.insert(text.end(), first, first + piece.length);
  }
  train::drop_spans(span_draw(epoch), static_cast<std::uint64_t>(pieces.front().start), text,
                    static_cast<std::size_t>(source_length()), out);
}

void Dataset::fill_from(std::int64_t start, const WindowArrays& out, std::uint64_t epoch) const {
  const auto ids = stream_.ids();
  const auto starts = stream_.document_starts();
  const auto length = static_cast<std::int64_t>(out.ids.size());
  const std::int64_t end = std::min(start + length, tokens());
  const auto lead_in = static_cast<std::int64_t>(stream_.lead_in().size());
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
    const bool target = !last && at + 1 >= document + lead_in;
    out.ids[slot] = ids[static_cast<std::size_t>(at)];
    out.targets[slot] = target ? ids[static_cast<std::size_t>(at + 1)] : -1;
    out.first_key[slot] = static_cast<std::int32_t>(std::max<std::int64_t>(0, document - start));
  }
  hide(start, static_cast<std::size_t>(end - start), out, epoch);
}

void Dataset::hide(std::int64_t start, std::size_t count, const WindowArrays& out,
                   std::uint64_t epoch) const {
  if (!mask_) return;
  MaskDraw draw = *mask_;
  draw.seed = seed_of_epoch(draw.seed, epoch);
  train::hide_tokens(draw, static_cast<std::uint64_t>(start), count, out);
}

std::int64_t Dataset::drawn_in(std::int64_t window, std::uint64_t epoch) const {
  const auto length = static_cast<std::size_t>(row_length());
  std::vector<std::int64_t> ids(length), targets(length);
  std::vector<std::int32_t> first_key(length);
  fill(window, {ids, targets, first_key}, epoch);
  return std::count_if(targets.begin(), targets.end(), [](std::int64_t id) { return id >= 0; });
}

// Of a stretch of one document: all but its first token and the lead-in.
std::int64_t Dataset::targets_of(const Piece& piece) const {
  if (piece.length == 0) return 0;
  const std::int64_t first = std::max(piece.start + 1, stream_.text_start(piece.start));
  return std::max<std::int64_t>(0, piece.start + piece.length - first);
}

std::int64_t Dataset::targets_in(std::int64_t window, std::uint64_t epoch) const {
  if (mask_ || spans_) return drawn_in(window, epoch);
  std::int64_t targets = 0;
  if (packed_) {
    for (const Piece& piece : packed_->window(window)) targets += targets_of(piece);
    return targets;
  }
  const auto starts = stream_.document_starts();
  const std::int64_t end = std::min((window + 1) * context_, tokens());
  std::int64_t at = window * context_;
  for (auto next = std::upper_bound(starts.begin(), starts.end(), at); at < end;) {
    const std::int64_t stop = next == starts.end() ? end : std::min(end, *next++);
    targets += targets_of({at, stop - at});
    at = stop;
  }
  return targets;
}

std::optional<double> Dataset::bits_per_byte(double nll) const {
  const auto bytes = stream_.text_bytes();
  if (!bytes || *bytes == 0 || task() != Task::next_token) return std::nullopt;
  const double tokens_per_byte =
      static_cast<double>(stream_.text_tokens()) / static_cast<double>(*bytes);
  return nll / std::numbers::ln2 * tokens_per_byte;
}

}  // namespace organ::train
