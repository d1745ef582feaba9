// SPDX-License-Identifier: Apache-2.0
// A few short texts of letters as the data of a training run.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "format/base/file.h"
#include "tests/train/support/letter_tokenizer.h"
#include "train/data/run_data.h"
#include "train/tokenizer/tokenizer.h"

namespace organ::test {

// Windows of 16 tokens; the files are written into `folder`.
inline train::RunData letter_run_data(const std::filesystem::path& folder) {
  const auto tokenizer = train::Tokenizer::open(write_letter_tokenizer(folder));
  const auto read = [&](const std::string& name, const std::string& text) {
    write_file(folder / name, text);
    return train::Dataset::from_texts({folder / name}, tokenizer, 29,
                                      {.context = 16,
                                       .texts = {.split = train::DocumentSplit::blank_lines},
                                       .packing = train::Packing::ffd});
  };
  return {read("a.txt", "the first document of some length\n\nshort\n\nand a third one\n\nb c d"),
          read("b.txt", "some other words to be measured on"), std::nullopt, std::nullopt};
}

}  // namespace organ::test
