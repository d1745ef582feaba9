// SPDX-License-Identifier: Apache-2.0
// A few short texts of letters as the data of a training run, and models that read letters.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "format/base/file.h"
#include "format/checkpoint/checkpoint.h"
#include "tests/support/data.h"
#include "tests/train/support/letter_tokenizer.h"
#include "train/data/run_data.h"
#include "train/tokenizer/tokenizer.h"

namespace organ::test {

// Windows of 16 tokens; the files are written into `folder`.
inline train::RunData letter_run_data(const std::filesystem::path& folder) {
  const auto tokenizer = train::Tokenizer::open(write_letter_tokenizer(folder));
  const auto read = [&](const std::string& name, const std::string& text, train::Packing packing) {
    write_file(folder / name, text);
    return train::Dataset::from_texts(
        {folder / name}, tokenizer, 29,
        {.context = 16, .texts = {.split = train::DocumentSplit::blank_lines}, .packing = packing});
  };
  return {read("a.txt", "the first document of some length\n\nshort\n\nand a third one\n\nb c d",
               train::Packing::ffd),
          read("b.txt", "some other words to be measured on", train::Packing::concat), std::nullopt,
          std::nullopt};
}

// The model of the test data as a folder `folder`/model, with a tokenizer of letters in which y and
// z are the sentinels of spans.
inline format::Checkpoint letter_model(
    const std::filesystem::path& folder, const std::string& model,
    const std::string& post_processor = "null",
    const std::string& config = R"({"eos_token": "<|endoftext|>"})") {
  const auto copy = folder / "model";
  std::filesystem::copy(test_data() / "train" / model, copy);
  const auto file = write_letter_tokenizer(copy, post_processor, config) / "tokenizer.json";
  std::string text = read_file(file, 1 << 20);
  for (const auto& [letter, token] :
       {std::pair("\"y\"", "\"<extra_id_0>\""), std::pair("\"z\"", "\"<extra_id_1>\"")}) {
    text.replace(text.find(letter), 3, token);
  }
  write_file(file, text);
  return format::Checkpoint::open(copy);
}

}  // namespace organ::test
