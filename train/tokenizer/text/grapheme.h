// SPDX-License-Identifier: Apache-2.0
// What people see as one character: extended grapheme clusters (UAX 29), by the Unicode version
// of the PyPI package `tokenizers`.
#pragma once

#include <cstddef>
#include <string_view>

namespace organ::train {

// The end of the cluster that begins at `at`, a border between clusters, in valid UTF-8.
std::size_t grapheme_end(std::string_view text, std::size_t at);

}  // namespace organ::train
