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
#include "train/data/masking.h"
#include "train/data/packing.h"
#include "train/data/span_denoising.h"
#include "train/data/task.h"

namespace organ::train {

class Tokenizer;

// What ends a document besides the end of its file. Attention and targets never cross documents.
enum class DocumentSplit { file, blank_lines, end_of_text };
std::string_view to_string(DocumentSplit split);
std::optional<DocumentSplit> parse_document_split(std::string_view name);

struct DataFile {
  std::string name;  // file name without folders
  Digest digest;     // of the file's bytes
  std::uint64_t bytes = 0;
  std::uint64_t tokens = 0;
};

// One window as model inputs; arrays of row_length() numbers.
struct WindowArrays {
  std::span<std::int64_t> ids;
  // The id at t + 1 of the same document, a hidden id, what a decoder writes, or -1.
  std::span<std::int64_t> targets;
  // Start of the token's document in this window. Of span denoising (spans.h): 0, of padding in the
  // source its place; there a window is one text, whatever documents it is of.
  std::span<std::int32_t> first_key;
};

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

// The order in which an epoch visits the windows: a permutation that depends on (seed, epoch) and
// the number of windows only (Fisher-Yates over SplitMix64).
std::vector<std::int64_t> epoch_order(std::uint64_t seed, std::uint64_t epoch,
                                      std::int64_t windows);

// The windows of one step: numbers [step * rows, (step + 1) * rows) of the endless sequence of
// epochs. Not thread-safe: remembers the last epoch's order.
class BatchOrder {
 public:
  BatchOrder(std::uint64_t seed, std::int64_t windows) : seed_(seed), windows_(windows) {}
  std::vector<std::int64_t> step(std::uint64_t step, std::int64_t rows);

 private:
  std::uint64_t seed_;
  std::int64_t windows_;
  std::optional<std::uint64_t> epoch_;
  std::vector<std::int64_t> order_;
};

// Whole files set aside for evaluation: chosen by hash of (seed, contents) until they hold at
// least `share` of the bytes, never all of them. Throws invalid_argument for fewer than two files.
struct HoldOut {
  std::vector<std::filesystem::path> training, held_out;
};
HoldOut hold_out_files(const std::vector<std::filesystem::path>& files, double share,
                       std::uint64_t seed);

// Throws invalid_argument when a file (by its contents) is in both.
void check_disjoint(const Dataset& training, const Dataset& held_out);

}  // namespace organ::train
