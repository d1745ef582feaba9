// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/frame/context.h"
#include "registry/registry.h"

namespace organ::cli {

// The registry in use, compared with what this user has seen of it; says what there is to say.
registry::Registry open_registry(const Context& context, registry::Registry::Mode mode,
                                 const Work& work = {});

// Says what came up since it was opened.
void tell_notices(const Context& context, registry::Registry& registry);

}  // namespace organ::cli
