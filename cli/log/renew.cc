// SPDX-License-Identifier: Apache-2.0
// `organ log renew`: says today that the log's newest state is still the newest.
#include <nlohmann/json.hpp>

#include "cli/log/commands.h"
#include "cli/registry/open_registry.h"
#include "format/base/fail.h"

namespace organ::cli {
namespace {

using registry::Registry;

void run(Context& context) {
  const Registry registry =
      change_registry(context, "the checkpoint is signed anew",
                      [](Registry& open, const Work& work) { open.renew(work); });
  if (context.json) {
    context.print_json("log renew", {{"entries", registry.log_size()}});
    return;
  }
  context.confirm(
      fmt::format("the checkpoint of {} is signed anew", counted(registry.log_size(), "entry")));
}

}  // namespace

void add_log_renew(Command& log, Context& context) {
  Command command =
      log.add_command(context, "renew",
                      "sign the checkpoint anew, with today's time, for readers who demand an age",
                      "  organ log renew\n"
                      "  organ log renew --registry ./store --quiet");
  command.on_run([&context] { run(context); });
}

}  // namespace organ::cli
