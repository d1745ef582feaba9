// SPDX-License-Identifier: Apache-2.0
// The options of commands that speak with another registry.
#pragma once

#include "cli/frame/command.h"
#include "registry/http/remote_options.h"

namespace organ::cli {

// `options` lives as long as the program.
void add_remote_options(Command& command, registry::RemoteOptions& options);

}  // namespace organ::cli
