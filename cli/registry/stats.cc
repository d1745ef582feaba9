// SPDX-License-Identifier: Apache-2.0
#include "registry/care/stats.h"

#include <nlohmann/json.hpp>

#include "cli/frame/amounts.h"
#include "cli/frame/long_work.h"
#include "cli/registry/commands.h"
#include "cli/registry/open_registry.h"
#include "format/base/fail.h"

namespace organ::cli {
namespace {

using registry::StoreStats;

void print_text(const Context& context, const StoreStats& stats) {
  const auto line = [&](const char* label, const std::string& text) {
    context.print(fmt::format("{:<12} {}", label, text));
  };
  line("versions", fmt::format("{} of {}", stats.versions, counted(stats.names, "name")));
  if (stats.removed > 0)
    line("removed", fmt::format("{}, on purpose", counted(stats.removed, "version")));
  line("logical", size_text(stats.logical));
  line("stored",
       fmt::format("{} in {}", size_text(stats.stored), counted(stats.objects, "object")));
  line("shared", size_text(stats.shared));
  line("orphaned",
       fmt::format("{} in {}", size_text(stats.orphan_bytes), counted(stats.orphans, "object")));
  line("quarantined", size_text(stats.quarantined));
  line("partial", size_text(stats.partial));
  line("damaged", fmt::format("{} missing or not right; large ones were not read",
                              counted(stats.damaged, "object")));
  line("log", fmt::format("{}, {}", counted(stats.entries, "entry"), size_text(stats.log_bytes)));
  line("since", escape_text(stats.first_entry));
  line("newest", escape_text(stats.last_entry));
}

void run(const Context& context) {
  const StoreStats stats = watched(context, 0, [&](const Work& work) {
    return registry::store_stats(context.registry_path(), user_memory(context), work);
  });
  if (!context.json) {
    print_text(context, stats);
    return;
  }
  context.print_json("registry stats", {{"versions", stats.versions},
                                        {"names", stats.names},
                                        {"removed", stats.removed},
                                        {"logical_bytes", stats.logical},
                                        {"objects", stats.objects},
                                        {"stored_bytes", stats.stored},
                                        {"shared_bytes", stats.shared},
                                        {"orphans", stats.orphans},
                                        {"orphan_bytes", stats.orphan_bytes},
                                        {"quarantined_bytes", stats.quarantined},
                                        {"partial_bytes", stats.partial},
                                        {"damaged", stats.damaged},
                                        {"entries", stats.entries},
                                        {"log_bytes", stats.log_bytes},
                                        {"first_entry", stats.first_entry},
                                        {"last_entry", stats.last_entry}});
}

}  // namespace

void add_registry_stats(Command& group, Context& context) {
  Command command = group.add_command(
      context, "stats", "show how much a registry holds, shares, keeps and could give back",
      "  organ registry stats\n"
      "  organ registry stats --registry ./store --json");
  command.on_run([&context] { run(context); });
}

}  // namespace organ::cli
