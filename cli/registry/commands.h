// SPDX-License-Identifier: Apache-2.0
// The commands of this folder.
#pragma once

#include "cli/frame/command.h"
#include "cli/frame/context.h"

namespace organ::cli {

// As those of cli/organ/commands.h. `alias`, `revoke`, `supersede` and `yank` stand in withdraw.cc.
//
// Those that put something into the log of the registry in use, for good: alias, publish, pull (but
// with --manifest-only, which writes a folder), revoke, supersede, takedown and yank. `repair` and
// `gc` change its objects. `fsck`, `list`, `lock` (which writes its lock file), `push` and `show`
// leave it as it is; `copy` goes from one OCI registry to another and needs none.
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

// Those of the group `organ registry` that stand in files of their own. The first declares all that
// say whose signatures count: trust, distrust, retire, policy, remember. init, rebuild and index
// stand with the group itself.
void add_registry_policy(Command& group, Context& context);
void add_registry_site(Command& group, Context& context);
void add_registry_stats(Command& group, Context& context);

}  // namespace organ::cli
