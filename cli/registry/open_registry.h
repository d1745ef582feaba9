// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/frame/command.h"
#include "cli/frame/context.h"
#include "cli/frame/long_work.h"
#include "format/base/progress.h"
#include "registry/registry.h"

namespace organ::cli {

// With where this user keeps what was seen and read of registries.
// Reads nothing; where neither HOME nor the XDG folder is known, the paths are empty.
registry::OpenOptions user_memory(const Context& context);

// Says what came up since it was opened.
void tell_notices(const Context& context, registry::Registry& registry);

// The registry in use, compared with what this user has seen of it; says what there is to say.
// Notices are escaped notes on stderr. Throws as Registry::open, which compares and may refuse.
registry::Registry open_registry(const Context& context, registry::Registry::Mode mode,
                                 const Work& work);
// The same outside of long work: a signal ends it (watched), and nothing is left.
registry::Registry open_registry(const Context& context, registry::Registry::Mode mode);

// Opens it to write and runs `action(registry, work)`: one short change. A signal that comes before
// the registry is changed for good, while it waits for another command's lock too, leaves all as
// it was; one that comes later lets it be completed, and from then on `done` holds. Says what there
// is to say.
// Returns the registry, still open to write. Throws cancelled with "nothing was changed", and what
// opening and the action throw.
template <typename Action>
registry::Registry change_registry(Context& context, const std::string& done,
                                   const Action& action) {
  registry::Registry registry = watched(context, 0, [&](const Work& work) {
    auto opened = open_registry(context, registry::Registry::Mode::write, work);
    action(opened, work);
    context.set_done(done);
    return opened;
  });
  tell_notices(context, registry);
  return registry;
}

// An option whose value is a span of time (30d) in seconds, which the option borrows.
// nullopt: not given. Other text is a usage error.
Option add_age_option(Command& command, const std::string& name,
                      std::optional<std::uint64_t>& seconds, const std::string& description);

// An option whose value is a day or a time, which is put into `moment` as RFC 3339.
// Empty: not given. Other text is a usage error.
Option add_moment_option(Command& command, const std::string& name, std::string& moment,
                         const std::string& description);

}  // namespace organ::cli
