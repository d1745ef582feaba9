// SPDX-License-Identifier: Apache-2.0
// `organ log` and the commands inside it.
#pragma once

#include "cli/frame/command.h"
#include "cli/frame/context.h"

namespace organ::cli {

// `organ log` lists the entries of the log itself, and calls those below for the words behind it.
void add_log(Command& app, Context& context);

// `log` is the Command of `organ log`. renew, cosign, and root with a change or --apply put
// something signed into the registry. With --out cosign and root write it into a file instead; of
// root --rotate the new key goes into the registry all the same. root --sign signs a file and needs
// no registry. The others only read it and, where they are asked to, write a file.
void add_log_cosign(Command& log, Context& context);
void add_log_prove(Command& log, Context& context);
void add_log_renew(Command& log, Context& context);
void add_log_root(Command& log, Context& context);
void add_log_verify(Command& log, Context& context);

}  // namespace organ::cli
