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
#include "format/base/progress.h"
#include "train/data/documents.h"
#include "train/data/source/data_source.h"

#pragma GCC visibility push(default)

namespace organ::train {

class Tokenizer;

// One source of the data; memory is the file that it stands for.
struct DataFile {
  std::string name;  // file name without folders
  std::string path;  // as it was given
  Digest digest;     // of the file's bytes
  Digest contents;   // of what it says, however it was saved; of rows of ids as digest
  std::uint64_t bytes = 0;
  std::uint64_t tokens = 0;  // of its documents, with all that stands around them
};

// How texts become documents.
struct TextOptions {
  DocumentSplit split = DocumentSplit::file;
  // Put the tokenizer's end-of-sequence id behind each document that does not end with it. For
  // training; evaluation counts the tokens of the text alone.
  bool end_of_sequence = false;
  // Put these ids before each document: context that is no target (train/tokenizer/lead_in.h).
  // Empty with special_tokens.
  std::vector<std::int32_t> lead_in = {};
  // Put what the tokenizer puts around a text ([CLS], [SEP]) around each document; what comes
  // before it is the lead-in then.
  bool special_tokens = false;
};

// What fills up rows of ids.
struct RowPadding {
  // Implicit: most often nothing more is known of it.
  RowPadding(std::int32_t padding_id, bool is_end = false) : id(padding_id), ends_text(is_end) {}

  std::int32_t id;
  // It is the end of a text too: the first behind a row's text belongs to the text.
  bool ends_text;
};

// One: itself. Several, or none: SHA-256 of the lines "sha256:<hex>\n" in order.
Digest digest_of_files(std::span<const Digest> files);

class TokenStream {
 public:
  // Documents in the order of the texts; one that comes to no token at all is none. Throws
  // invalid_argument for invalid UTF-8 (file and byte offset) or a token id >= vocab_size; corrupt
  // for a text of more than 1 GiB; not_found, io. `work` is told the bytes of
  // documents as Tokenizer::encode tells them, and those between them; throws cancelled.
  static TokenStream from_texts(const std::vector<TextSource>& texts, const Tokenizer& tokenizer,
                                std::uint64_t vocab_size, const TextOptions& options,
                                const Work& work = {});

  // Each row one document, without the padding at its end, taken as it is: nothing is put before or
  // behind it. Throws invalid_argument for rows without a target, ids that are no whole rows or
  // more than 8 GiB, and an id outside of the vocabulary; corrupt, not_found, io for files.
  static TokenStream from_ids(const IdsSource& source, std::uint64_t vocab_size,
                              std::optional<RowPadding> padding = std::nullopt);

  // Of the whole stream, with lead-ins and ends of sequences.
  std::int64_t tokens() const { return static_cast<std::int64_t>(ids_.size()); }
  // The same without the lead-ins.
  std::int64_t text_tokens() const;
  // Valid, like all spans here, until the stream is assigned to or goes away.
  std::span<const std::int32_t> ids() const { return ids_; }
  // Where each document starts in ids(), ascending; the first is 0.
  std::span<const std::int64_t> document_starts() const { return document_starts_; }
  // In the order in which they were given; of rows of ids one.
  const std::vector<DataFile>& files() const { return files_; }
  Digest digest() const;  // digest_of_files() of its files

  // Bytes of UTF-8 text behind the tokens, of documents alone, not of what separates them; nullopt
  // for ids.
  std::optional<std::uint64_t> text_bytes() const { return text_bytes_; }
  // Words of the text, as count_words counts them; nullopt for ids.
  std::optional<std::uint64_t> text_words() const { return text_words_; }
  // What stands before each document; empty: nothing.
  std::span<const std::int32_t> lead_in() const { return lead_in_; }
  // As records hold it (format::EvaluationConditions): nullopt for rows of ids.
  std::optional<std::vector<std::uint64_t>> recorded_lead_in() const;
  // Where the text of the document begins, behind its lead-in, that token `token` is of; `token`
  // is in [0, tokens()), which is not checked.
  std::int64_t text_start(std::int64_t token) const;
  // What stands behind each document; nullopt: nothing was asked for, or the tokenizer names none.
  std::optional<std::int32_t> end_of_sequence() const { return end_of_sequence_; }
  // What ended a document besides the end of its file; nullopt for ids.
  std::optional<DocumentSplit> split() const { return split_; }
  // What was cut from the end of rows of ids; nullopt: nothing.
  std::optional<std::int32_t> padding_id() const { return padding_id_; }
  // Sentences on what may not be meant as it was read. They hold names from files, not escaped.
  const std::vector<std::string>& warnings() const { return warnings_; }
  // Length of the rows of ids; 0 for texts.
  std::int64_t row_length() const { return row_length_; }
  // Where each row of ids starts, and behind the last one tokens(); a row of padding alone has no
  // tokens. Empty for texts.
  std::span<const std::int64_t> row_starts() const { return row_starts_; }

 private:
  // What a document says, however it was saved, and which of the files it is of.
  struct Origin {
    Digest contents;
    std::size_t file;
  };

  TokenStream() = default;
  void add_document(std::span<const std::int32_t> ids);
  bool add_text(std::vector<std::int32_t> ids, const TextOptions& options);
  void add_rows(std::span<const std::int32_t> ids, const std::optional<RowPadding>& padding,
                std::vector<Origin>& origins);
  bool is_led_in(std::span<const std::int32_t> text) const;
  void warn_of_json_lines(const std::filesystem::path& path);
  void warn_of_nul(std::string_view text, std::string_view subject);
  void warn_of_copies(const std::vector<Origin>& origins);
  std::int64_t document_end(std::size_t document) const;
  void warn_of_lead_ins(std::size_t documents);
  void check_surroundings(std::uint64_t vocab_size) const;

  std::vector<std::int32_t> ids_;
  std::vector<std::int64_t> document_starts_;
  std::vector<DataFile> files_;
  std::optional<std::uint64_t> text_bytes_, text_words_;
  std::vector<std::int32_t> lead_in_;
  std::optional<std::int32_t> end_of_sequence_, padding_id_;
  std::optional<DocumentSplit> split_;
  std::int64_t row_length_ = 0;
  std::vector<std::int64_t> row_starts_;
  std::vector<std::string> warnings_;
};

// Throws invalid_argument when a file is in both, by what it says: another way of saving it (marks,
// ends of lines, blanks before them) makes no other one. Texts that say nothing are passed over.
void check_disjoint(const TokenStream& training, const TokenStream& held_out);

}  // namespace organ::train

#pragma GCC visibility pop
