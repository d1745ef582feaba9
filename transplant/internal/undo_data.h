// SPDX-License-Identifier: Apache-2.0
// The bytes that an installation replaced, proved to be those the receipt speaks of.
#pragma once

#include <filesystem>
#include <string_view>

#include "format/base/digest.h"
#include "format/tensor/safetensors.h"
#include "transplant/internal/state_folder.h"
#include "transplant/receipt.h"

namespace organ::transplant {

// Throws corrupt, naming the file and both digests, unless they are equal. `what` says what is then
// wrong: "changed since the installation".
void require_digest(const Digest& found, const Digest& expected, const std::filesystem::path& path,
                    std::string_view what);

// The former tensors of one shard; `file.undo` must be there. Throws corrupt, not_found, io,
// cancelled. Reads all of it for its digest.
format::SafetensorsFile open_undo(const StateFolder& state, const Receipt& receipt,
                                  const FileChange& file, const Work& work = {});

}  // namespace organ::transplant
