// SPDX-License-Identifier: Apache-2.0
// A damaged log made whole from a copy of the registry. Nothing is believed: what comes together
// must lead to the root of the checkpoint that lies here, under the key that is pinned here.
#pragma once

#include <string>
#include <vector>

#include "registry/registry_paths.h"

namespace organ::registry {

// Lines that a copy has right, the rest from the log that lies here. The damaged log goes to the
// quarantine, at most one line that it has behind the
// checkpoint stays. Returns the source that had what was
// missing; empty: none has. `dry_run` writes nothing. Takes the write lock. Throws io, conflict.
std::string repair_log(const RegistryPaths& paths, const Log& log,
                       const std::vector<std::string>& sources, bool dry_run, const Work& work);

}  // namespace organ::registry
