// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <nlohmann/json.hpp>

#include "cli/log/commands.h"
#include "cli/output/log_entry.h"
#include "cli/registry/open_registry.h"
#include "format/base/fail.h"
#include "format/manifest/reference.h"
#include "registry/registry.h"

namespace organ::cli {
namespace {

using registry::LogRecord;
using registry::Registry;

// Those of one organ. What was meant by an unknown name the log says, whatever the catalog holds.
std::vector<LogRecord> records_of(std::vector<LogRecord> all, const std::string& name) {
  std::vector<std::string> names;
  for (const LogRecord& record : all) {
    if (!record.entry.name.empty()) names.push_back(record.entry.name);
  }
  std::erase_if(all, [&](const LogRecord& record) { return record.entry.name != name; });
  if (all.empty()) {
    std::ranges::sort(names);
    names.erase(std::ranges::unique(names).begin(), names.end());
    throw Error(ErrorCode::not_found, quote(name) + ": no entry of the log speaks of it",
                meant_hint(nearest_name(names, name), "organ log shows them all"));
  }
  return all;
}

void run(const Context& context, const std::string& name) {
  if (!name.empty()) format::check_name(name);
  const Registry registry = open_registry(context, Registry::Mode::read);
  std::vector<LogRecord> records = registry.history();
  if (!name.empty()) records = records_of(std::move(records), name);
  if (context.json) {
    nlohmann::json entries = nlohmann::json::array();
    for (const LogRecord& record : records) entries.push_back(to_json(record));
    context.print_json("log", {{"entries", entries}});
    return;
  }
  for (const LogRecord& record : records) context.print(log_line(record));
}

}  // namespace

void add_log(Command& app, Context& context) {
  Command command =
      app.add_command(context, "log", "show the registry's signed history, oldest entry first",
                      "  organ log\n  organ log legal/contracts --json");
  auto name = std::make_shared<std::string>();
  command.add_option("NAME", *name, "only the entries of this organ");
  command.on_run([&context, name] { run(context, *name); });
  add_log_verify(command, context);
  add_log_prove(command, context);
  add_log_cosign(command, context);
  add_log_renew(command, context);
  add_log_root(command, context);
}

}  // namespace organ::cli
