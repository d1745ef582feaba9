// SPDX-License-Identifier: Apache-2.0
// The commands of organ-train. `doctor` and `import` are halves of organ's own commands.
#pragma once

#include "cli/frame/command.h"
#include "cli/frame/context.h"

namespace organ::cli {

// As those of cli/organ/commands.h. All but `doctor` and `import` take their description from
// command_table.h (Command::add_train_command), because `organ --help` shows them too.
void add_baseline(Command& app, Context& context);
void add_eval(Command& app, Context& context);
void add_generate(Command& app, Context& context);
void add_import(Command& app, Context& context);
void add_recover(Command& app, Context& context);
void add_train(Command& app, Context& context);
// Declares `doctor`, whose other half is add_doctor of organ.
void add_train_doctor(Command& app, Context& context);

// As kCommands, but not sorted. `organ` becomes organ-train (exec_train_program) for the names that
// command_table.h has a summary of; its own `import` may become it too, its `doctor` asks it.
inline constexpr NamedCommand kTrainProgramCommands[] = {
    {"baseline", add_baseline},   {"eval", add_eval},       {"generate", add_generate},
    {"import", add_import},       {"recover", add_recover}, {"train", add_train},
    {"doctor", add_train_doctor},
};

}  // namespace organ::cli
