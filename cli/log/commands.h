// SPDX-License-Identifier: Apache-2.0
// `organ log` and the commands inside it.
#pragma once

#include "cli/frame/command.h"
#include "cli/frame/context.h"

namespace organ::cli {

// `organ log` lists the entries of the log itself, and calls those below for the words behind it.
void add_log(Command& app, Context& context);

// `log` is the Command of `organ log`. renew, root with a change, and cosign without --out put
// something signed into the registry; the others only read it and, where they are asked to, write a
// file.
void add_log_cosign(Command& log, Context& context);
void add_log_prove(Command& log, Context& context);
void add_log_renew(Command& log, Context& context);
void add_log_root(Command& log, Context& context);
void add_log_verify(Command& log, Context& context);

}  // namespace organ::cli
