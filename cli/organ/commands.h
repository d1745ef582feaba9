// SPDX-License-Identifier: Apache-2.0
// The table of commands: one line per file of this folder.
#pragma once

#include "cli/frame/command.h"

namespace organ::cli {

void add_check(CLI::App& app, Context& context);
void add_doctor(CLI::App& app, Context& context);
void add_extract(CLI::App& app, Context& context);
void add_inspect(CLI::App& app, Context& context);
void add_install(CLI::App& app, Context& context);
void add_key(CLI::App& app, Context& context);
void add_list(CLI::App& app, Context& context);
void add_log(CLI::App& app, Context& context);
void add_publish(CLI::App& app, Context& context);
void add_registry(CLI::App& app, Context& context);
void add_show(CLI::App& app, Context& context);
void add_sign(CLI::App& app, Context& context);
void add_uninstall(CLI::App& app, Context& context);
void add_verify(CLI::App& app, Context& context);

inline constexpr void (*kCommands[])(CLI::App&, Context&) = {
    add_check, add_doctor,  add_extract,  add_inspect, add_install, add_key,       add_list,
    add_log,   add_publish, add_registry, add_show,    add_sign,    add_uninstall, add_verify,
};

}  // namespace organ::cli
