// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "cli/log/commands.h"
#include "cli/registry/open_registry.h"
#include "format/base/fail.h"
#include "format/manifest/reference.h"
#include "registry/registry.h"

namespace organ::cli {
namespace {

using registry::LogEntry;
using registry::LogKind;
using registry::LogRecord;
using registry::Registry;

std::string describe(const LogEntry& entry) {
  std::string subject =
      escape_text(entry.name + (entry.version.empty() ? "" : ":" + entry.version));
  switch (entry.kind) {
    case LogKind::publish:
      return fmt::format("{}  {}", subject, entry.manifest->digest.to_string());
    case LogKind::signature: return subject;
    case LogKind::alias:
      return fmt::format("{}@{} -> {}", escape_text(entry.name), escape_text(entry.alias),
                         entry.version.empty() ? "nothing" : escape_text(entry.version));
    case LogKind::yank:
    case LogKind::revoke:
      return fmt::format("{}{}  {}", subject, entry.withdrawn ? " taken back" : "",
                         escape_text(entry.reason));
    case LogKind::policy:
      return fmt::format("{}: {}, {} keys must have signed", quote(entry.pattern),
                         escape_text(entry.mode), entry.threshold);
    case LogKind::key:
      return fmt::format(
          "{} {}{}{}{}", escape_text(entry.action), escape_text(entry.key),
          entry.pattern.empty() ? "" : " for " + quote(entry.pattern),
          entry.expires.empty() ? "" : " until " + escape_text(entry.expires),
          entry.action == "retire" ? fmt::format(" from entry {} on", entry.from) : std::string());
    case LogKind::root: return "who speaks for the log: organ log root shows the newest one";
  }
  return subject;
}

void run(const Context& context, const std::string& name) {
  if (!name.empty()) format::check_name(name);
  const Registry registry = open_registry(context, Registry::Mode::read);
  const std::vector<LogRecord> records = registry.history(name);
  if (!name.empty() && records.empty()) {
    throw Error(ErrorCode::not_found, quote(name) + ": no entry of the log speaks of it",
                "organ log shows them all");
  }
  if (context.json) {
    nlohmann::json entries = nlohmann::json::array();
    for (const LogRecord& record : records) {
      nlohmann::json entry = nlohmann::json::parse(record.entry.to_text());
      entry["index"] = record.index;
      entries.push_back(std::move(entry));
    }
    context.print_json("log", {{"entries", entries}});
    return;
  }
  for (const LogRecord& record : records) context.print(entry_line(record));
}

}  // namespace

std::string entry_line(const LogRecord& record) {
  return fmt::format("{:>6}  {}  {:<9}  {}", record.index, escape_text(record.entry.time),
                     to_string(record.entry.kind), describe(record.entry));
}

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
