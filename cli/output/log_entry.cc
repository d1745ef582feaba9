// SPDX-License-Identifier: Apache-2.0
#include "cli/output/log_entry.h"

#include <nlohmann/json.hpp>

#include "format/base/fail.h"

namespace organ::cli {
namespace {

using registry::LogEntry;
using registry::LogKind;

std::string describe(const LogEntry& entry) {
  std::string subject =
      escape_text(entry.name + (entry.version.empty() ? "" : ":" + entry.version));
  switch (entry.kind) {
    case LogKind::publish:
      return fmt::format("{}  {}", subject, entry.manifest->digest.to_string());
    case LogKind::signature:
    case LogKind::attestation: return subject;
    case LogKind::alias:
      return fmt::format("{}@{} -> {}", escape_text(entry.name), escape_text(entry.alias),
                         entry.version.empty() ? "nothing" : escape_text(entry.version));
    case LogKind::yank:
    case LogKind::revoke:
      return fmt::format("{}{}  {}", subject, entry.withdrawn ? " taken back" : "",
                         escape_text(entry.reason));
    case LogKind::takedown: return fmt::format("{}  {}", subject, escape_text(entry.reason));
    case LogKind::supersede:
      return fmt::format("{} by {}{}  {}", subject, escape_text(entry.successor),
                         entry.withdrawn ? " taken back" : "", escape_text(entry.reason));
    case LogKind::policy:
      return fmt::format("{}: {}, {} must have signed", quote(entry.pattern),
                         escape_text(entry.mode), counted(entry.threshold, "key"));
    case LogKind::key:
      return fmt::format("{} {}{}", escape_text(entry.action), escape_text(entry.key),
                         entry.pattern.empty() ? "" : " for " + quote(entry.pattern));
    case LogKind::key_end:
      return fmt::format("{} {}{} {}", escape_text(entry.action), escape_text(entry.key),
                         entry.pattern.empty() ? "" : " for " + quote(entry.pattern),
                         entry.action == "retire" ? fmt::format("from entry {} on", entry.from)
                                                  : "until " + escape_text(entry.expires));
    case LogKind::root: return "who speaks for the log: organ log root shows the newest one";
  }
  return subject;
}

}  // namespace

nlohmann::json to_json(const registry::LogRecord& record) {
  nlohmann::json entry = nlohmann::json::parse(record.entry.to_text());
  entry["index"] = record.index;
  return entry;
}

std::string log_line(const registry::LogRecord& record) {
  return fmt::format("{:>6}  {}  {:<11}  {}", record.index, escape_text(record.entry.time),
                     to_string(record.entry.kind), describe(record.entry));
}

}  // namespace organ::cli
