// SPDX-License-Identifier: Apache-2.0
// The commands of this folder.
#pragma once

#include "cli/frame/command.h"
#include "cli/frame/context.h"

namespace organ::cli {

void add_alias(Command& app, Context& context);
void add_copy(Command& app, Context& context);
void add_fsck(Command& app, Context& context);
void add_gc(Command& app, Context& context);
void add_list(Command& app, Context& context);
void add_lock(Command& app, Context& context);
void add_publish(Command& app, Context& context);
void add_pull(Command& app, Context& context);
void add_push(Command& app, Context& context);
void add_registry(Command& app, Context& context);
void add_repair(Command& app, Context& context);
void add_revoke(Command& app, Context& context);
void add_show(Command& app, Context& context);
void add_supersede(Command& app, Context& context);
void add_takedown(Command& app, Context& context);
void add_yank(Command& app, Context& context);

// Those of the group `organ registry` that stand in files of their own.
void add_registry_policy(Command& group, Context& context);
void add_registry_site(Command& group, Context& context);
void add_registry_stats(Command& group, Context& context);

}  // namespace organ::cli
