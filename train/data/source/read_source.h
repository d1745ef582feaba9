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
// more than once, and named by people. Of memory, and of a path that leads nowhere, nothing.
void require_data_file(const TextSource& source);
void require_data_file(const IdsSource& source);

// The bytes of a text: those that a file held, or memory's own, borrowed. Not to be moved.
class TextBytes {
 public:
  // Throws not_found, io; corrupt for more than 1 GiB.
  explicit TextBytes(const TextSource& source);
  TextBytes(const TextBytes&) = delete;

  std::string_view text() const { return memory_ ? *memory_ : std::string_view(read_); }

 private:
  std::string read_;
  std::optional<std::string_view> memory_;
};

// What records have of a source.
struct SourceBytes {
  Digest digest;
  std::uint64_t size = 0;
};
// Reads a file once, whatever its size. Throws not_found, io, corrupt.
SourceBytes hash_text(const TextSource& source);

// Whole rows, one at least, of two ids or more; of any value.
struct IdRows {
  std::span<const std::int64_t> ids() const { return read.empty() ? memory : std::span(read); }

  std::string subject;                   // what errors call them, quoted
  std::vector<std::int64_t> read;        // of a file
  std::span<const std::int64_t> memory;  // borrowed, else
  std::size_t length = 0;
  SourceBytes source;
};
// Throws corrupt, invalid_argument, not_found, io.
IdRows read_rows(const IdsSource& source);

}  // namespace organ::train
