// SPDX-License-Identifier: Apache-2.0
// --require-finite, and the warnings without it.
#pragma once

#include <vector>

#include "format/organ/finite_check.h"

namespace organ::cli {

class Command;
class Context;

// `require_finite` is borrowed and lives as long as the program; false: such tensors are warned of.
void add_finite_option(Command& command, bool& require_finite);

// One warning for each tensor, of many for the first ten, and how many more there are.
void warn_not_finite(const Context& context, const std::vector<format::Finding>& found);

}  // namespace organ::cli
