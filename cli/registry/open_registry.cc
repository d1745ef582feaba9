// SPDX-License-Identifier: Apache-2.0
#include "cli/registry/open_registry.h"

#include "cli/frame/parse_option.h"
#include "format/base/fail.h"
#include "registry/log/moment.h"

namespace organ::cli {

void tell_notices(const Context& context, registry::Registry& registry) {
  for (const std::string& notice : registry.take_notices()) context.note(escape_text(notice, 4096));
}

Option add_age_option(Command& command, const std::string& name,
                      std::optional<std::uint64_t>& seconds, const std::string& description) {
  return command
      .add_parsed_option(
          name,
          [name, &seconds](const std::string& text) {
            seconds = parsed(registry::parse_span(text), name, text,
                             "a number and s, m, h, d or w, such as 30d");
          },
          description)
      .value_name("AGE");
}

Option add_moment_option(Command& command, const std::string& name, std::string& moment,
                         const std::string& description) {
  return command
      .add_parsed_option(
          name,
          [name, &moment](const std::string& text) {
            moment = registry::moment_text(
                parsed(registry::parse_day_or_moment(text), name, text,
                       "a day (2027-01-31) or a time (2027-01-31T12:00:00Z)"));
          },
          description)
      .value_name("DAY");
}

registry::OpenOptions user_memory(const Context& context) {
  return {.known_registries = context.known_registries(),
          .log_key = {},
          .read_memory = context.read_memory()};
}

registry::Registry open_registry(const Context& context, registry::Registry::Mode mode,
                                 const Work& work) {
  auto registry =
      registry::Registry::open(context.registry_path(), mode, user_memory(context), work);
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
