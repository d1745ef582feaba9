// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

namespace organ::test {

// Writes a tokenizer with one id per letter into `folder` and returns it: 0..25 for a..z, 26 line
// feed, 27 space, 28 the end of text.
std::filesystem::path write_letter_tokenizer(const std::filesystem::path& folder);

}  // namespace organ::test
