// SPDX-License-Identifier: Apache-2.0
// The table of commands: one line per file of this folder, and of cli/ci/.
#pragma once

#include "cli/frame/command.h"
#include "cli/frame/context.h"
#include "cli/log/commands.h"
#include "cli/registry/commands.h"

namespace organ::cli {

// Each declares the command that it is named after below `app`, with its options and examples.
// Nothing runs before the command line is parsed: only the command that was given is called back
// then. `context` is borrowed and outlives the program. What a command is asked to do and cannot,
// it throws as Error out of the callback, and run_program makes an exit code of it; what it finds
// wrong (damage, a missing signature) it raises by Context::worsen instead and goes on.
//
// `install`, `uninstall` and `sign` change the folder that they are given (`install --out` a copy
// of it), `attest` may change the registry. check, ci, diff, doctor, inspect, search and verify
// change no organ, model or registry; check, ci and verify write the report files that they are
// asked for.
void add_attest(Command& app, Context& context);
void add_check(Command& app, Context& context);
// In cli/ci/.
void add_ci(Command& app, Context& context);
void add_diff(Command& app, Context& context);
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

// Sorted by name. The name must be the one under which `add` declares the command, or run_program
// throws. Where the first word of a command line is one of these names, that command alone is
// declared: the others cost most of the time in which the program starts.
inline constexpr NamedCommand kCommands[] = {
    {"alias", add_alias},
    {"attest", add_attest},
    {"check", add_check},
    {"ci", add_ci},
    {"copy", add_copy},
    {"diff", add_diff},
    {"doctor", add_doctor},
    {"export", add_export},
    {"extract", add_extract},
    {"fsck", add_fsck},
    {"gc", add_gc},
    {"import", add_import},
    {"inspect", add_inspect},
    {"install", add_install},
    {"key", add_key},
    {"list", add_list},
    {"lock", add_lock},
    {"log", add_log},
    {"publish", add_publish},
    {"pull", add_pull},
    {"push", add_push},
    {"registry", add_registry},
    {"repair", add_repair},
    {"revoke", add_revoke},
    {"search", add_search},
    {"show", add_show},
    {"sign", add_sign},
    {"supersede", add_supersede},
    {"takedown", add_takedown},
    {"uninstall", add_uninstall},
    {"verify", add_verify},
    {"yank", add_yank},
};

}  // namespace organ::cli
