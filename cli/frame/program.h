// SPDX-License-Identifier: Apache-2.0
// What `organ` and `organ-train` share around their commands: parsing, the one place that catches
// everything, error output, exit code.
#pragma once

#include <span>

#include "cli/frame/command.h"
#include "cli/frame/context.h"

namespace organ::cli {

// Runs one of `commands`; a train command that is not among them is handed over to organ-train.
// Returns the exit code. Signals: see interrupt.h.
int run_program(std::span<const NamedCommand> commands, int argc, char** argv);

}  // namespace organ::cli
