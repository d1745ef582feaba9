// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

namespace organ::test {

// Writes a tokenizer with one id per letter into `folder` and returns it: 0..25 for a..z, 26 line
// feed, 27 space, 28 the end of text, which is the eos_token of `config`.
std::filesystem::path write_letter_tokenizer(
    const std::filesystem::path& folder, const std::string& post_processor = "null",
    const std::string& config = R"({"eos_token": "<|endoftext|>"})");

// A post-processor that puts the given letters ("y", "yz") before a text.
std::string letters_before_text(const std::string& letters);

}  // namespace organ::test
