// SPDX-License-Identifier: Apache-2.0
// `organ install --continue` and `--abort`: what becomes of a change that a crash left behind.
#pragma once

#include <string>

namespace organ::cli {

class Context;

// Both throw what transplant/journal.h says.
// Each prints what became of it (one record with --json). Long work: a signal asks for its end.
// `threads`: that hash at one time, 0: one for each core. Throws not_found for what is no folder.
void continue_change(Context& context, const std::string& model, unsigned threads);
void give_up_change(Context& context, const std::string& model, unsigned threads);

}  // namespace organ::cli
