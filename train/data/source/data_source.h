// SPDX-License-Identifier: Apache-2.0
// Where data come from: files, or memory that stands for a file of the same bytes. Which of the two
// it was is recorded nowhere and decides nothing: equal bytes under equal names give equal windows,
// digests and records, and what is refused of a file is refused of memory. Plain values; memory is
// borrowed and has to stay as it is until the data are read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "format/base/error.h"

#pragma GCC visibility push(default)

namespace organ::train {

// A text in UTF-8, which is checked when it is read.
class TextSource {
 public:
  // Implicit: a file is what a path says. It is opened when it is read.
  TextSource(std::filesystem::path file) : path_(std::move(file)) {}

  // `name` stands for the file's name, in records as in errors. Throws invalid_argument for one
  // that no file can have: empty, ".", "..", longer than 255 bytes, with a slash or a zero byte.
  static TextSource in_memory(std::string name, std::string_view bytes);

  const std::filesystem::path& path() const { return path_; }  // of memory: its name alone
  const std::optional<std::string_view>& memory() const { return memory_; }  // nullopt: a file
  // Equal paths, or equal names and bytes; whether two paths lead to one file is not asked.
  bool operator==(const TextSource&) const = default;

 private:
  std::filesystem::path path_;
  std::optional<std::string_view> memory_;
};

// Rows of token ids that have one length, or nothing. A file is opened when it is read.
class IdsSource {
 public:
  IdsSource() = default;  // nothing
  // Implicit as above: a safetensors file with an I64 tensor `ids` [rows, length] and no other.
  IdsSource(std::filesystem::path file) : path_(std::move(file)) {}

  // The ids of row after row. They stand for the file that save_file of the safetensors package
  // makes of such a tensor: its digest is theirs. Throws as TextSource::in_memory; what is wrong
  // with the rows is said when they are read.
  struct Rows {
    std::span<const std::int64_t> ids;
    // Ids of a row; the number of rows follows from it.
    std::size_t length = 0;
  };
  static IdsSource in_memory(std::string name, const Rows& rows);

  // No source at all; a source with no rows is not empty, and refused when it is read.
  bool empty() const { return path_.empty(); }
  const std::filesystem::path& path() const { return path_; }    // of memory: its name alone
  const std::optional<Rows>& memory() const { return memory_; }  // nullopt: a file

 private:
  std::filesystem::path path_;
  std::optional<Rows> memory_;
};

}  // namespace organ::train

#pragma GCC visibility pop
