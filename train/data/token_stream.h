// SPDX-License-Identifier: Apache-2.0
// Text or token ids as one stream of documents. Immutable after construction; thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "format/base/digest.h"
#include "train/data/documents.h"

#pragma GCC visibility push(default)

namespace organ::train {

class Tokenizer;

struct DataFile {
  std::string name;  // file name without folders
  Digest digest;     // of the file's bytes
  std::uint64_t bytes = 0;
  std::uint64_t tokens = 0;
};

// How texts become documents.
struct TextOptions {
  DocumentSplit split = DocumentSplit::file;
  // Put the tokenizer's end-of-sequence id behind each document. For training; evaluation counts
  // the tokens of the text alone.
  bool end_of_sequence = false;
  // Put the beginning-of-sequence id, else the end-of-sequence id, before each document: context
  // that is no target, as lm-eval does. Throws invalid_argument for a tokenizer that has neither.
  bool lead_in = false;
  // Put what the tokenizer puts around a text ([CLS], [SEP]) around each document.
  bool special_tokens = false;
};

class TokenStream {
 public:
  // Documents in file order. Throws invalid_argument for invalid UTF-8 (file and byte offset) or a
  // token id >= vocab_size; not_found, io.
  static TokenStream from_texts(const std::vector<std::filesystem::path>& files,
                                const Tokenizer& tokenizer, std::uint64_t vocab_size,
                                const TextOptions& options);

  // A safetensors file with an I64 tensor `ids` of shape [rows, length]; each row one document,
  // without the `padding_id`s at its end. Throws corrupt, invalid_argument.
  static TokenStream from_ids(const std::filesystem::path& file, std::uint64_t vocab_size,
                              std::optional<std::int32_t> padding_id = std::nullopt);

  std::int64_t tokens() const { return static_cast<std::int64_t>(ids_.size()); }
  std::span<const std::int32_t> ids() const { return ids_; }
  // Where each document starts in ids(), ascending; the first is 0.
  std::span<const std::int64_t> document_starts() const { return document_starts_; }
  const std::vector<DataFile>& files() const { return files_; }
  // One file: its digest. Several: SHA-256 of the lines "sha256:<hex>\n" in order.
  Digest digest() const;

  // Bytes of UTF-8 text behind the tokens; nullopt for ids.
  std::optional<std::uint64_t> text_bytes() const { return text_bytes_; }
  // Words of the text, as count_words counts them; nullopt for ids.
  std::optional<std::uint64_t> text_words() const { return text_words_; }
  bool has_lead_in() const { return lead_in_; }
  // The id that was put behind each document, and the one that was cut from the end of rows;
  // nullopt: none.
  std::optional<std::int32_t> end_of_sequence() const { return end_of_sequence_; }
  std::optional<std::int32_t> padding_id() const { return padding_id_; }
  // Length of the rows of ids; 0 for texts.
  std::int64_t row_length() const { return row_length_; }

 private:
  TokenStream() = default;
  void add_document(std::span<const std::int32_t> ids);

  std::vector<std::int32_t> ids_;
  std::vector<std::int64_t> document_starts_;
  std::vector<DataFile> files_;
  std::optional<std::uint64_t> text_bytes_, text_words_;
  bool lead_in_ = false;
  std::optional<std::int32_t> end_of_sequence_, padding_id_;
  std::int64_t row_length_ = 0;
};

}  // namespace organ::train

#pragma GCC visibility pop
