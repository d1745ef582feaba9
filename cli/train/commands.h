// SPDX-License-Identifier: Apache-2.0
// The commands of organ-train. `doctor` and `import` are halves of organ's own commands.
#pragma once

#include "cli/frame/command.h"
#include "cli/frame/context.h"

namespace organ::cli {

void add_baseline(Command& app, Context& context);
void add_eval(Command& app, Context& context);
void add_generate(Command& app, Context& context);
void add_import(Command& app, Context& context);
void add_recover(Command& app, Context& context);
void add_train(Command& app, Context& context);
void add_train_doctor(Command& app, Context& context);

inline constexpr NamedCommand kTrainProgramCommands[] = {
    {"baseline", add_baseline},   {"eval", add_eval},       {"generate", add_generate},
    {"import", add_import},       {"recover", add_recover}, {"train", add_train},
    {"doctor", add_train_doctor},
};

}  // namespace organ::cli
