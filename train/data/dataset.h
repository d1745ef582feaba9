// SPDX-License-Identifier: Apache-2.0
// Text or token ids as windows of equal length with targets. Immutable after construction;
// thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"
#include "train/data/documents.h"
#include "train/data/masking.h"
#include "train/data/packing.h"
#include "train/data/span_denoising.h"
#include "train/data/task.h"
#include "train/data/window.h"

#pragma GCC visibility push(default)

namespace organ::train {

class Tokenizer;

// One file of a data set. Sizes in bytes.
struct DataFile {
  std::string name;  // file name without folders
  Digest digest;     // of the file's bytes
  std::uint64_t bytes = 0;
  std::uint64_t tokens = 0;
};

// The whole stream of ids lies in memory: 4 bytes a token. Move and copy as a value.
class Dataset {
 public:
  struct Options {
    std::int64_t context = 512;
    DocumentSplit split = DocumentSplit::file;
    // Put the tokenizer's end-of-sequence id behind each document. For training; evaluation
    // counts the tokens of the text alone.
    bool end_of_sequence = false;
    // How the documents fill the windows of fill(); what is left of a window is padding.
    Packing packing = Packing::concat;
    // Put the beginning-of-sequence id, else the end-of-sequence id, before each document: context
    // that is no target, as lm-eval does. Throws invalid_argument for a tokenizer that has neither.
    bool lead_in = false;
    // Put what the tokenizer puts around a text ([CLS], [SEP]) around each document.
    bool special_tokens = false;
  };

  // Documents in file order. Throws invalid_argument for an empty data set, invalid UTF-8 (file and
  // byte offset) or a token id >= vocab_size; not_found, io.
  static Dataset from_texts(const std::vector<std::filesystem::path>& files,
                            const Tokenizer& tokenizer, std::uint64_t vocab_size,
                            const Options& options);

  // A safetensors file with an I64 tensor `ids` of shape [windows, length]; each row one document,
  // without the `padding_id`s at its end.
  static Dataset from_ids(const std::filesystem::path& file, std::uint64_t vocab_size,
                          std::optional<std::int32_t> padding_id = std::nullopt);

  std::int64_t context() const { return context_; }
  std::int64_t windows() const;
  std::int64_t tokens() const { return static_cast<std::int64_t>(ids_.size()); }
  const std::vector<DataFile>& files() const { return files_; }

  // Bytes of UTF-8 text behind the tokens; nullopt for ids.
  std::optional<std::uint64_t> text_bytes() const { return text_bytes_; }
  // Words of the text, as count_words counts them; nullopt for ids.
  std::optional<std::uint64_t> text_words() const { return text_words_; }
  bool has_lead_in() const { return lead_in_; }

  // Tokens per place of all windows: 1 without padding.
  double filled_share() const;
  // From now on windows hide tokens and ask for these, for a masked language model.
  void hide_tokens(MaskDraw draw) { mask_ = std::move(draw); }
  // From now on windows lack spans and ask for them, for an encoder-decoder.
  void drop_spans(SpanDraw draw);
  Task task() const;
  // Places of a window as a row of a model: its context; of span denoising those of the encoder,
  // source_length(), and of the decoder.
  std::int64_t row_length() const;
  std::int64_t source_length() const;

  // Writes window `window` of windows() into arrays of row_length() numbers that the caller owns.
  // Thread-safe.
  void fill(std::int64_t window, const WindowArrays& out) const;
  // The same for the window whose first token is token `start` of the stream, as concat packs.
  void fill_from(std::int64_t start, const WindowArrays& out) const;
  // The same of span denoising, for the window of tokens [start, start + tokens).
  void fill_spans(std::int64_t start, std::int64_t tokens, const WindowArrays& out) const;
  // Of each target of that window in order: the token of the stream that it asks for.
  std::vector<std::int64_t> span_targets(std::int64_t start, std::int64_t tokens) const;
  std::int64_t targets_in(std::int64_t window) const;
  std::span<const std::int32_t> ids() const { return ids_; }
  // Where each document starts in ids(), ascending; the first is 0.
  std::span<const std::int64_t> document_starts() const { return document_starts_; }

  // One file: its digest. Several: SHA-256 of the lines "sha256:<hex>\n" in order.
  Digest digest() const;

 private:
  Dataset() = default;
  void add_document(std::span<const std::int32_t> ids);
  void check_not_empty() const;
  void fill_pieces(std::span<const Piece> pieces, const WindowArrays& out) const;
  std::int64_t drawn_in(std::int64_t window) const;
  void drop_spans_of(std::span<const Piece> pieces, const WindowArrays& out) const;
  void hide(std::int64_t start, std::size_t count, const WindowArrays& out) const;

  std::int64_t context_ = 0;
  std::vector<std::int32_t> ids_;
  std::vector<std::int64_t> document_starts_;  // ascending, first 0
  std::optional<PackedWindows> packed_;        // absent: concat
  std::vector<DataFile> files_;
  std::optional<std::uint64_t> text_bytes_, text_words_;
  bool lead_in_ = false;
  std::optional<MaskDraw> mask_;
  std::optional<SpanDraw> spans_;
};

}  // namespace organ::train

#pragma GCC visibility pop
