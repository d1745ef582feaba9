// SPDX-License-Identifier: Apache-2.0
// The table of commands: one line per file of this folder.
#pragma once

#include "cli/frame/command.h"
#include "cli/frame/context.h"
#include "cli/log/commands.h"
#include "cli/registry/commands.h"

namespace organ::cli {

void add_check(Command& app, Context& context);
void add_doctor(Command& app, Context& context);
void add_export(Command& app, Context& context);
void add_extract(Command& app, Context& context);
void add_import(Command& app, Context& context);
void add_inspect(Command& app, Context& context);
void add_install(Command& app, Context& context);
void add_key(Command& app, Context& context);
void add_search(Command& app, Context& context);
void add_sign(Command& app, Context& context);
void add_uninstall(Command& app, Context& context);
void add_verify(Command& app, Context& context);

inline constexpr void (*kCommands[])(Command&, Context&) = {
    add_alias,  add_check,     add_doctor,   add_export, add_extract, add_fsck,   add_gc,
    add_import, add_inspect,   add_install,  add_key,    add_list,    add_log,    add_publish,
    add_pull,   add_push,      add_registry, add_repair, add_revoke,  add_search, add_show,
    add_sign,   add_uninstall, add_verify,   add_yank,
};

}  // namespace organ::cli
