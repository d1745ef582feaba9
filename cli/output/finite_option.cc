// SPDX-License-Identifier: Apache-2.0
#include "cli/output/finite_option.h"

#include "cli/frame/command.h"
#include "cli/frame/context.h"
#include "format/base/fail.h"

namespace organ::cli {

void add_finite_option(Command& command, bool& require_finite) {
  command.add_flag("--require-finite", require_finite,
                   "refuse tensors with NaN or infinity instead of warning");
}

void warn_not_finite(const Context& context, const std::vector<format::Finding>& found) {
  for (const format::Finding& tensor : found) {
    context.warn(escape_text(tensor.subject) + ": " + escape_text(tensor.message));
  }
}

}  // namespace organ::cli
