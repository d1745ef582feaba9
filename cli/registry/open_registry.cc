// SPDX-License-Identifier: Apache-2.0
#include "cli/registry/open_registry.h"

#include "format/base/fail.h"

namespace organ::cli {

void tell_notices(const Context& context, registry::Registry& registry) {
  for (const std::string& notice : registry.take_notices()) context.note(escape_text(notice, 4096));
}

registry::Registry open_registry(const Context& context, registry::Registry::Mode mode,
                                 const Work& work) {
  auto registry = registry::Registry::open(
      context.registry_path(), mode,
      {.known_registries = context.known_registries(), .log_key = {}}, work);
  tell_notices(context, registry);
  return registry;
}

registry::Registry open_registry(const Context& context, registry::Registry::Mode mode) {
  return watched(context, 0, [&](const Work& work) {
    auto registry = open_registry(context, mode, work);
    work.require_wanted();  // nobody asks later
    return registry;
  });
}

}  // namespace organ::cli
