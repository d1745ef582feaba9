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
  constexpr std::size_t kNamed = 10;
  const std::size_t more = found.size() > kNamed + 1 ? found.size() - kNamed : 0;
  for (std::size_t i = 0; i < found.size() - more; ++i) {
    context.warn(escape_text(found[i].subject) + ": " + escape_text(found[i].message));
  }
  if (more > 0) context.warn(fmt::format("and {} are not finite", counted(more, "more tensor")));
}

}  // namespace organ::cli
