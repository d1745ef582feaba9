// SPDX-License-Identifier: Apache-2.0
// A text file as documents.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#pragma GCC visibility push(default)

namespace organ::train {

// What ends a document besides the end of its file. Attention and targets never cross documents.
enum class DocumentSplit { file, blank_lines, end_of_text };
std::string_view to_string(DocumentSplit split);
std::optional<DocumentSplit> parse_document_split(std::string_view name);

// The documents of a text (borrowed), without those that are empty. blank_lines: runs of two or
// more ends of lines separate; end_of_text: the characters <|endoftext|> do, with the ends of lines
// on either side. A line ends with LF, CR LF or CR (Python's universal newlines): who saved a file
// does not decide where its documents end.
std::vector<std::string_view> split_documents(std::string_view text, DocumentSplit split);

// Parts between runs of white space, as lm-eval counts the words of a text (Python's
// len(re.split(r"\s+", text))): white space at either end adds an empty one. Valid UTF-8.
std::uint64_t count_words(std::string_view text);

}  // namespace organ::train

#pragma GCC visibility pop
