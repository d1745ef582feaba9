// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/frame/command.h"
#include "cli/frame/context.h"
#include "registry/registry.h"

namespace organ::cli {

// The registry in use, compared with what this user has seen of it; says what there is to say.
registry::Registry open_registry(const Context& context, registry::Registry::Mode mode,
                                 const Work& work = {});

// An option whose value is a span of time (30d) in seconds, which the option borrows.
Option add_age_option(Command& command, const std::string& name,
                      std::optional<std::uint64_t>& seconds, const std::string& description);

// An option whose value is a day or a time, which is put into `moment` as RFC 3339.
Option add_moment_option(Command& command, const std::string& name, std::string& moment,
                         const std::string& description);

// Says what came up since it was opened.
void tell_notices(const Context& context, registry::Registry& registry);

}  // namespace organ::cli
