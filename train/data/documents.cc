// SPDX-License-Identifier: Apache-2.0
#include "train/data/documents.h"

#include <iterator>
#include <utility>

#include "train/tokenizer/text/unicode.h"

namespace organ::train {
namespace {

constexpr std::string_view kEndOfText = "<|endoftext|>";

constexpr std::pair<DocumentSplit, std::string_view> kNames[] = {
    {DocumentSplit::file, "file"},
    {DocumentSplit::blank_lines, "blank-lines"},
    {DocumentSplit::end_of_text, "end-of-text"},
};

bool is_line_end(char c) { return c == '\n' || c == '\r'; }

// What separates two documents of a text; at npos: nothing more.
struct Separator {
  std::size_t at = std::string_view::npos, size = 0;
};

// Bytes of the end of a line at `at`: a line feed, a carriage return, or that pair.
std::size_t line_end(std::string_view text, std::size_t at) {
  if (text.substr(at).starts_with("\r\n")) return 2;
  return at < text.size() && is_line_end(text[at]) ? 1 : 0;
}

Separator find_blank_line(std::string_view text) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (!is_line_end(text[at])) continue;
    const std::size_t first = line_end(text, at);
    if (const std::size_t next = line_end(text, at + first)) return {at, first + next};
    at += first - 1;
  }
  return {};
}

Separator find_end_of_text(std::string_view text) {
  return {text.find(kEndOfText), kEndOfText.size()};
}

std::string_view trim_line_ends(std::string_view text) {
  while (!text.empty() && is_line_end(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_line_end(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> split_at(std::string_view text,
                                       Separator (*find)(std::string_view text)) {
  std::vector<std::string_view> parts;
  while (true) {
    const Separator next = find(text);
    const std::string_view part = trim_line_ends(text.substr(0, next.at));
    if (!part.empty()) parts.push_back(part);
    if (next.at == std::string_view::npos) return parts;
    text.remove_prefix(next.at + next.size);
  }
}

}  // namespace

std::string_view to_string(DocumentSplit split) {
  for (const auto& [kind, name] : kNames) {
    if (kind == split) return name;
  }
  return {};
}

std::optional<DocumentSplit> parse_document_split(std::string_view name) {
  for (const auto& [kind, text] : kNames) {
    if (text == name) return kind;
  }
  return std::nullopt;
}

std::vector<std::string_view> split_documents(std::string_view text, DocumentSplit split) {
  switch (split) {
    case DocumentSplit::file: break;
    case DocumentSplit::blank_lines: return split_at(text, find_blank_line);
    case DocumentSplit::end_of_text: return split_at(text, find_end_of_text);
  }
  if (text.empty()) return {};
  return {text};
}

std::uint64_t count_words(std::string_view text) {
  std::uint64_t runs = 0;
  bool in_run = false;
  for (std::size_t at = 0; at < text.size();) {
    const Decoded next = decode_utf8(text, at);
    at += next.length;
    // Python also counts the separators of ASCII.
    const bool separator = next.code_point >= 0x1C && next.code_point <= 0x1F;
    const bool space = separator || is_white_space(next.code_point);
    if (space && !in_run) ++runs;
    in_run = space;
  }
  return runs + 1;
}

}  // namespace organ::train
