// SPDX-License-Identifier: Apache-2.0
// The commands of organ-train.
#pragma once

#include "cli/frame/command.h"

namespace organ::cli {

void add_baseline(CLI::App& app, Context& context);
void add_eval(CLI::App& app, Context& context);
void add_generate(CLI::App& app, Context& context);
void add_import(CLI::App& app, Context& context);
void add_recover(CLI::App& app, Context& context);
void add_train(CLI::App& app, Context& context);
void add_train_doctor(CLI::App& app, Context& context);

inline constexpr void (*kTrainProgramCommands[])(CLI::App&, Context&) = {
    add_baseline, add_eval, add_generate, add_import, add_recover, add_train, add_train_doctor,
};

}  // namespace organ::cli
