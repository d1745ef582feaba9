// SPDX-License-Identifier: Apache-2.0
// Data as they come, of files and of memory alike: here the two meet, and nothing behind this knows
// which it was.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"
#include "train/data/source/data_source.h"

namespace organ::train {

// Throws invalid_argument for a path at which something else than a regular file is: data are read
// more than once, and named by people. Of memory, and of a path that leads nowhere, nothing:
// reading says what is wrong with these.
void require_data_file(const TextSource& source);
void require_data_file(const IdsSource& source);

// The bytes of a text: those that a file held, or memory's own, borrowed. Not to be moved.
class TextBytes {
 public:
  // Throws not_found, io; corrupt for more than 1 GiB.
  explicit TextBytes(const TextSource& source);
  TextBytes(const TextBytes&) = delete;

  // Not checked for UTF-8. Valid while this lives and, of memory, stays as it is.
  std::string_view text() const { return memory_ ? *memory_ : std::string_view(read_); }

 private:
  std::string read_;
  std::optional<std::string_view> memory_;
};

// What a text says, however it was saved: without the mark of UTF-8, with LF at the ends of lines,
// no blanks before them and no empty lines around. Equal for texts that differ in no more; empty
// for a text that says nothing. Takes up to as many bytes as `text` has.
std::string as_saved_anyhow(std::string_view text);

// What records have of a source: of a file or of memory in its place, byte for byte.
struct SourceBytes {
  Digest digest;
  std::uint64_t size = 0;  // bytes; of rows those of the header too
};
// Of all of them, before any is read; 0 where a file cannot be asked for its size: what is wrong
// with it is said when it is read.
std::uint64_t bytes_ahead(const std::vector<TextSource>& texts);

// Whole rows, one at least, of two ids or more; of any value: no vocabulary is known here.
struct IdRows {
  // Row after row. Valid while this lives and, of memory, stays as it is.
  std::span<const std::int64_t> ids() const { return read.empty() ? memory : std::span(read); }

  std::string subject;                   // what errors call them, quoted
  std::vector<std::int64_t> read;        // of a file
  std::span<const std::int64_t> memory;  // borrowed, else
  std::size_t length = 0;                // ids of a row
  SourceBytes source;
};
// Throws corrupt for a file that is no safetensors file or whose `ids` are not I64 [rows, length];
// not_found for a file without a tensor `ids`, or none at all; invalid_argument for another tensor
// beside it, for no rows, rows of less than two ids, more than 8 GiB, and for memory that is no
// whole rows; io.
IdRows read_rows(const IdsSource& source);

}  // namespace organ::train
