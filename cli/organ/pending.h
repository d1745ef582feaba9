// SPDX-License-Identifier: Apache-2.0
// `organ install --continue` and `--abort`: what becomes of a change that a crash left behind.
#pragma once

#include <string>

namespace organ::cli {

class Context;

// Both throw what transplant/journal.h says.
void continue_change(Context& context, const std::string& model, unsigned threads);
void give_up_change(Context& context, const std::string& model, unsigned threads);

}  // namespace organ::cli
