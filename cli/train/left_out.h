// SPDX-License-Identifier: Apache-2.0
// What of a model does not go along into a new folder.
#pragma once

#include <string>
#include <vector>

#include "cli/frame/context.h"
#include "format/checkpoint/checkpoint.h"

namespace organ::cli {

// Notes what a copy of the model will leave behind, and returns the names. To be called before the
// work begins: some of it can be taken along after all.
// The names are those of files in the model folder, not escaped.
std::vector<std::string> note_left_out(const Context& context, const format::Checkpoint& model);

}  // namespace organ::cli
