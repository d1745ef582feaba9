// SPDX-License-Identifier: Apache-2.0
// The table of commands: one line per file of this folder.
#pragma once

#include "cli/frame/command.h"
#include "cli/frame/context.h"

namespace organ::cli {

void add_check(Command& app, Context& context);
void add_doctor(Command& app, Context& context);
void add_extract(Command& app, Context& context);
void add_inspect(Command& app, Context& context);
void add_install(Command& app, Context& context);
void add_key(Command& app, Context& context);
void add_list(Command& app, Context& context);
void add_log(Command& app, Context& context);
void add_publish(Command& app, Context& context);
void add_registry(Command& app, Context& context);
void add_show(Command& app, Context& context);
void add_sign(Command& app, Context& context);
void add_uninstall(Command& app, Context& context);
void add_verify(Command& app, Context& context);

inline constexpr void (*kCommands[])(Command&, Context&) = {
    add_check, add_doctor,  add_extract,  add_inspect, add_install, add_key,       add_list,
    add_log,   add_publish, add_registry, add_show,    add_sign,    add_uninstall, add_verify,
};

}  // namespace organ::cli
