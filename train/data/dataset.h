// SPDX-License-Identifier: Apache-2.0
// Text or token ids as windows of equal length with targets. Thread-safe but
// for hide_tokens and drop_spans, which are part of making one.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "format/base/progress.h"
#include "train/data/masking.h"
#include "train/data/packing.h"
#include "train/data/source/data_source.h"
#include "train/data/span_denoising.h"
#include "train/data/task.h"
#include "train/data/token_stream.h"
#include "train/data/window.h"

#pragma GCC visibility push(default)

namespace organ::train {

// The whole stream of ids lies in memory: 4 bytes a token. Move and copy as a value. Keeps nothing
// of its sources. A window is a row of context() places; windows are numbered from 0.
class Dataset {
 public:
  struct Options {
    std::int64_t context = 512;  // tokens of a window, its lead-ins among them
    TextOptions texts = {};
    // How the documents fill the windows of fill(); what is left of a window is padding.
    Packing packing = Packing::concat;
  };

  // Throws invalid_argument when there is nothing to predict, and for a context of less than two;
  // and what TokenStream throws. `work` as there.
  static Dataset from_texts(const std::vector<TextSource>& texts, const Tokenizer& tokenizer,
                            std::uint64_t vocab_size, const Options& options,
                            const Work& work = {});

  // Each row a window, filled up behind its own tokens, whatever their number. Throws alike.
  static Dataset from_ids(const IdsSource& source, std::uint64_t vocab_size,
                          std::optional<RowPadding> padding = std::nullopt);

  std::int64_t context() const { return context_; }
  std::optional<Packing> packing() const;  // nullopt: rows of ids are windows as they are
  // Those without a target count too.
  std::int64_t windows() const;
  // What the windows are cut from.
  const TokenStream& stream() const { return stream_; }
  std::int64_t tokens() const { return stream_.tokens(); }

  // Tokens per place of all windows: 1 without padding.
  double filled_share() const;
  // From now on windows hide tokens and ask for these, for a masked language model.
  // Not together with drop_spans: set_task() calls the one that fits the model.
  void hide_tokens(MaskDraw draw) { mask_ = std::move(draw); }
  // From now on windows lack spans and ask for them, for an encoder-decoder. The draw needs
  // sentinels for a window of context() tokens (read_span_draw).
  void drop_spans(SpanDraw draw);
  Task task() const;
  // What decides the hidden tokens or the spans; nullopt: nothing is drawn.
  std::optional<std::uint64_t> draw_seed() const;
  // Places of a window as a row of a model: its context; of span denoising those of the encoder,
  // source_length(), and of the decoder. source_length() is 0 of the other tasks.
  std::int64_t row_length() const;
  std::int64_t source_length() const;

  // Writes window `window` of windows() into arrays of row_length() numbers that the caller owns,
  // every one of them: what the text leaves of it is padding, of id 0 and without target.
  // What is hidden or dropped is the draw of epoch `epoch` (seed_of_epoch). Thread-safe.
  void fill(std::int64_t window, const WindowArrays& out, std::uint64_t epoch = 0) const;
  // The same for the window whose first token is token `start` of the stream, as concat packs; as
  // long as the arrays are, and it may begin within a document. Not for span denoising.
  void fill_from(std::int64_t start, const WindowArrays& out, std::uint64_t epoch = 0) const;
  // The same of span denoising, for the window of tokens [start, start + tokens), of context() at
  // most; only after drop_spans.
  void fill_spans(std::int64_t start, std::int64_t tokens, const WindowArrays& out,
                  std::uint64_t epoch = 0) const;
  // Of each target of that window in order: the token of the stream that it asks for. Of epoch 0.
  std::vector<std::int64_t> span_targets(std::int64_t start, std::int64_t tokens) const;
  // Tokens of the window that the loss is of, in that epoch; where they are drawn, this fills it.
  std::int64_t targets_in(std::int64_t window, std::uint64_t epoch = 0) const;
  // The one with most targets of the first windows that have any: what the self-tests look at.
  // Throws invalid_argument when no window has a target, as a draw may leave it.
  std::int64_t fullest_window() const;

  // A mean NLL per token, in nats, spread over the bytes of the whole text. nullopt without a text,
  // and for a task that shows most of it.
  std::optional<double> bits_per_byte(double nll) const;

 private:
  Dataset(TokenStream stream, std::int64_t context);
  std::int64_t first_window() const;
  std::int64_t targets_of(const Piece& piece) const;
  void fill_pieces(std::span<const Piece> pieces, const WindowArrays& out,
                   std::uint64_t epoch) const;
  std::int64_t drawn_in(std::int64_t window, std::uint64_t epoch) const;
  void drop_spans_of(std::span<const Piece> pieces, const WindowArrays& out,
                     std::uint64_t epoch) const;
  SpanDraw span_draw(std::uint64_t epoch) const;
  void hide(std::int64_t start, std::size_t count, const WindowArrays& out,
            std::uint64_t epoch) const;

  TokenStream stream_;
  std::int64_t context_;
  std::optional<PackedWindows> packed_;  // absent: concat of texts
  std::optional<MaskDraw> mask_;
  std::optional<SpanDraw> spans_;
};

}  // namespace organ::train

#pragma GCC visibility pop
