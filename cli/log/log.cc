// SPDX-License-Identifier: Apache-2.0
#include <set>

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

// What was meant by an unknown name the log says, whatever the catalog holds.
[[noreturn]] void fail_unknown(const Registry& registry, const std::string& name) {
  std::set<std::string> names;
  for (const LogRecord& record : registry.history()) names.insert(record.entry.name);
  names.erase("");
  throw Error(
      ErrorCode::not_found, quote(name) + ": no entry of the log speaks of it",
      meant_hint(nearest_name({names.begin(), names.end()}, name), "organ log shows them all"));
}

void run(const Context& context, const std::string& name) {
  if (!name.empty()) format::check_name(name);
  const Registry registry = open_registry(context, Registry::Mode::read);
  const std::vector<LogRecord> records = registry.history(name);
  if (!name.empty() && records.empty()) fail_unknown(registry, name);
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
