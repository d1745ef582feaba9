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
#include "registry/log/root.h"

namespace organ::registry {

// Until when a trusted key counts: for what the log entered before.
struct KeyLimit {
  std::string expires;                   // RFC 3339 UTC; empty: no end
  std::optional<std::uint64_t> retired;  // from this entry on
  bool operator==(const KeyLimit&) const = default;
};
// The key with this id (sha256:HEX) and its limit as rows of documents have them: key, expires,
// retired, the latter two null where there is none. Throws corrupt.
Json key_limit_json(const std::string& key, const KeyLimit& limit);
std::pair<std::string, KeyLimit> parse_key_limit(const JsonObject& row);

// A rule of the policy in the words of the log (schemas/log-entry.v1.schema.json).
struct LogRule {
  std::string mode = "enforce";  // enforce | warn | off
  // May be more than there are keys, once some were distrusted: nothing satisfies the rule then.
  std::uint64_t threshold = 1;
  std::vector<std::string> keys;                // ids, in the order in which they were trusted
  std::map<std::string, KeyLimit> limits = {};  // of those that have one
  bool operator==(const LogRule&) const = default;
};
using LogRules = std::map<std::string, LogRule>;                            // by pattern
using Takedowns = std::map<std::pair<std::string, std::string>, Takedown>;  // by name and version

// Who speaks for the log from an entry on, to the entry of the next one.
struct RootSince {
  std::uint64_t entry = 0;  // counted from 0
  LogRoot root;
  bool operator==(const RootSince&) const = default;
};

class LogFacts {
 public:
  // Takes the next entry in; `index` is its place, counted from 0. Entries come in order, each
  // once. Whether a version that one names was published is not asked. Throws LogError (untrusted,
  // corrupt) for a root that does not follow the one before it, unsupported_version for one of a
  // newer organ; nothing was taken in then.
  void add(std::uint64_t index, const LogEntry& entry);

  // The reason, while the withdrawal stands, which may be an empty text; nothing: none does.
  std::optional<std::string> yanked(const std::string& name, const std::string& version) const;
  std::optional<std::string> revoked(const std::string& name, const std::string& version) const;
  // The first one of the version: it stands for good.
  std::optional<Takedown> taken_down(const std::string& name, const std::string& version) const;
  const Takedowns& takedowns() const { return taken_down_; }
  // The latest word on it.
  std::optional<Supersession> superseded(const std::string& name, const std::string& version) const;
  // The version that an alias of the name points at; nothing: there is no such alias.
  std::optional<std::string> alias(const std::string& name, const std::string& alias) const;
  // In the order of their texts.
  std::vector<std::string> aliases_of(const std::string& name, const std::string& version) const;

  // The publish entry of a version that does not count yet, for want of witnesses; who adds the
  // entries says so. Not part of to_json().
  void hide(const std::string& name, const std::string& version, std::uint64_t entry);
  std::optional<std::uint64_t> hidden(const std::string& name, const std::string& version) const;

  // The rules in force, none before the first entry that makes one.
  const LogRules& rules() const { return rules_; }
  // Who has spoken for the log, from which entry on; the last one does. Empty before entry 0.
  const std::vector<RootSince>& roots() const { return roots_; }
  // The last one; nullptr before entry 0. Lives until the next add().
  const LogRoot* root() const { return roots_.empty() ? nullptr : &roots_.back().root; }
  // The rules before the newest entry that is about them: what policy.json may still show.
  const LogRules& former_rules() const { return former_rules_; }

  // As one object of JSON. Reading throws corrupt. Facts that an organ of before roots wrote have
  // the first root, of `log_key`.
  Json to_json() const;
  static LogFacts parse(const JsonObject& object, const std::string& log_key);

  bool operator==(const LogFacts&) const = default;

 private:
  using Key = std::pair<std::string, std::string>;
  void change_rules(const LogEntry& entry);
  void change_root(std::uint64_t index, const LogEntry& entry);

  std::map<Key, std::string> yanked_, revoked_;  // name, version -> reason
  Takedowns taken_down_;
  std::map<Key, Supersession> superseded_;  // name, version
  std::map<Key, std::string> aliases_;      // name, alias -> version
  std::map<Key, std::uint64_t> hidden_;     // name, version -> entry
  LogRules rules_, former_rules_;
  std::vector<RootSince> roots_;
};

// The pinned key, with which a log's notes are opened, is only the way in: which key counts follows
// from the entries. Throws LogError (untrusted) unless that one signed the note of a checkpoint
// too, and the pinned one was the log's key once; corrupt when the entries name none. When it was
// signed, in seconds since 1970, as that key says; older organs wrote no time.
std::optional<std::uint64_t> require_signed(const Log& log, const std::string& note,
                                            const LogFacts& facts);

// All of `log` after `from`, added to `facts`, and shown to `visit` where there is one; the
// position behind it. The checkpoint must be signed as require_signed demands. Throws what
// Log::scan throws, and what require_signed does; both are what they were then.
LogPosition add_facts(const Log& log, const LogPosition& from, LogFacts& facts,
                      const Log::Visitor& visit = {});

// What the entries before `end` add up to.
struct FactsUpTo {
  LogFacts facts;
  LogPosition end;

  // Takes in what the log has by now. Throws as add_facts, and is what it was then.
  void read_on(const Log& log) { end = add_facts(log, end, facts); }
  TreeHead tree() const { return {end.entries(), end.tree.root()}; }
};

}  // namespace organ::registry
