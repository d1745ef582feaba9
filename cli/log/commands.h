// SPDX-License-Identifier: Apache-2.0
// `organ log` and the commands inside it.
#pragma once

#include "cli/frame/command.h"
#include "cli/frame/context.h"

namespace organ::cli {

void add_log(Command& app, Context& context);

void add_log_cosign(Command& log, Context& context);
void add_log_prove(Command& log, Context& context);
void add_log_renew(Command& log, Context& context);
void add_log_root(Command& log, Context& context);
void add_log_verify(Command& log, Context& context);

}  // namespace organ::cli
