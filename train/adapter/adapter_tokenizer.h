// SPDX-License-Identifier: Apache-2.0
// The tokenizer that lies in an adapter's folder.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "format/checkpoint/checkpoint.h"

namespace organ::train {

// For whoever uses the model's tokenizer with the adapter: nothing where the adapter's folder has
// no tokenizer, or the same one; a sentence where the two differ in other things than ids. Throws
// incompatible when a token has another id in the adapter's, corrupt, io.
std::optional<std::string> compare_tokenizers(const format::Checkpoint& checkpoint,
                                              const std::filesystem::path& adapter);

}  // namespace organ::train
