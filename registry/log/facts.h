// SPDX-License-Identifier: Apache-2.0
// What the entries of a log add up to, its publish entries aside: which versions were withdrawn,
// taken down or superseded, where aliases point, whose signatures count. A value; it follows from
// the log alone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "format/base/json.h"
#include "registry/log/log.h"

namespace organ::registry {

// A rule of the policy in the words of the log (schemas/log-entry.v1.schema.json).
struct LogRule {
  std::string mode = "enforce";
  std::uint64_t threshold = 1;
  std::vector<std::string> keys;  // ids, in the order in which they were trusted
  bool operator==(const LogRule&) const = default;
};
using LogRules = std::map<std::string, LogRule>;                            // by pattern
using Takedowns = std::map<std::pair<std::string, std::string>, Takedown>;  // by name and version

class LogFacts {
 public:
  // Takes the next entry in.
  void add(const LogEntry& entry);

  // The reason, while the withdrawal stands.
  std::optional<std::string> yanked(const std::string& name, const std::string& version) const;
  std::optional<std::string> revoked(const std::string& name, const std::string& version) const;
  std::optional<Takedown> taken_down(const std::string& name, const std::string& version) const;
  const Takedowns& takedowns() const { return taken_down_; }
  std::optional<Supersession> superseded(const std::string& name, const std::string& version) const;
  std::optional<std::string> alias(const std::string& name, const std::string& alias) const;
  std::vector<std::string> aliases_of(const std::string& name, const std::string& version) const;

  const LogRules& rules() const { return rules_; }
  // Before the newest entry that changed them.
  const LogRules& former_rules() const { return former_rules_; }

  // As one object of JSON. Reading throws corrupt.
  Json to_json() const;
  static LogFacts parse(const JsonObject& object);

  bool operator==(const LogFacts&) const = default;

 private:
  using Key = std::pair<std::string, std::string>;
  void change_rules(const LogEntry& entry);

  std::map<Key, std::string> yanked_, revoked_;  // name, version -> reason
  Takedowns taken_down_;
  std::map<Key, Supersession> superseded_;  // name, version
  std::map<Key, std::string> aliases_;      // name, alias -> version
  LogRules rules_, former_rules_;
};

// All of `log` after `from`, added to `facts`; the position behind it. When it throws, both are
// what they were.
LogPosition add_facts(const Log& log, const LogPosition& from, LogFacts& facts);

}  // namespace organ::registry
