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

std::string_view trim_line_feeds(std::string_view text) {
  while (text.starts_with('\n')) text.remove_prefix(1);
  while (text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> split_at(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t at = text.find(separator);
    const std::string_view part = trim_line_feeds(text.substr(0, at));
    if (!part.empty()) parts.push_back(part);
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + separator.size());
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
    case DocumentSplit::blank_lines: return split_at(text, "\n\n");
    case DocumentSplit::end_of_text: return split_at(text, kEndOfText);
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
