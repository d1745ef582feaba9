// SPDX-License-Identifier: Apache-2.0
#include "registry/log/facts.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "registry/log/moment.h"
#include "registry/notes/note.h"

namespace organ::registry {
namespace {

using Key = std::pair<std::string, std::string>;
using Texts = std::map<Key, std::string>;

template <typename Value>
std::optional<Value> find(const std::map<Key, Value>& values, const std::string& name,
                          const std::string& second) {
  const auto at = values.find({name, second});
  if (at == values.end()) return std::nullopt;
  return at->second;
}

template <typename Value>
void set(std::map<Key, Value>& values, const Key& key, const std::optional<Value>& value) {
  if (value)
    values.insert_or_assign(key, *value);
  else
    values.erase(key);
}

Texts parse_texts(const JsonObject& object, const char* field) {
  Texts texts;
  for (const JsonObject& row : object.objects(field)) {
    row.allow_only({"name", "of", "value"});
    texts.insert_or_assign({row.string("name"), row.string("of")}, row.string("value"));
  }
  return texts;
}

Json rows_json(const Texts& texts) {
  Json rows = Json::array();
  for (const auto& [key, value] : texts) {
    rows.push_back({{"name", key.first}, {"of", key.second}, {"value", value}});
  }
  return rows;
}

// Absent: none, as an organ of before wrote it.
std::map<Key, Supersession> parse_supersessions(const JsonObject& object, const char* field) {
  std::map<Key, Supersession> found;
  if (!object.has(field)) return found;
  for (const JsonObject& row : object.objects(field)) {
    row.allow_only({"by", "name", "of", "reason"});
    found.insert_or_assign({row.string("name"), row.string("of")},
                           Supersession{row.string("by"), row.string("reason")});
  }
  return found;
}

Json rows_json(const std::map<Key, Supersession>& supersessions) {
  Json rows = Json::array();
  for (const auto& [key, value] : supersessions) {
    rows.push_back(
        {{"name", key.first}, {"of", key.second}, {"by", value.by}, {"reason", value.reason}});
  }
  return rows;
}

Takedowns parse_takedowns(const JsonObject& object, const char* field) {
  Takedowns found;
  if (!object.has(field)) return found;
  for (const JsonObject& row : object.objects(field)) {
    row.allow_only({"name", "of", "reason", "time"});
    found.insert_or_assign({row.string("name"), row.string("of")},
                           Takedown{row.string("time"), row.string("reason")});
  }
  return found;
}

Json rows_json(const Takedowns& takedowns) {
  Json rows = Json::array();
  for (const auto& [key, value] : takedowns) {
    rows.push_back(
        {{"name", key.first}, {"of", key.second}, {"time", value.time}, {"reason", value.reason}});
  }
  return rows;
}

Json ends_json(const std::map<std::string, KeyLimit>& limits) {
  Json rows = Json::array();
  for (const auto& [key, limit] : limits) rows.push_back(key_limit_json(key, limit));
  return rows;
}

Json rules_json(const LogRules& rules) {
  Json rows = Json::array();
  for (const auto& [pattern, rule] : rules) {
    rows.push_back({{"pattern", pattern},
                    {"mode", rule.mode},
                    {"threshold", rule.threshold},
                    {"keys", rule.keys}});
    if (!rule.limits.empty()) rows.back()["limits"] = ends_json(rule.limits);
  }
  return rows;
}

// Left out where there is none, as an organ of before limits did.
std::map<std::string, KeyLimit> parse_ends(const JsonObject& rule) {
  std::map<std::string, KeyLimit> limits;
  if (rule.is_null("limits")) return limits;
  for (const JsonObject& row : rule.objects("limits")) {
    auto [key, limit] = parse_key_limit(row);
    limits.insert_or_assign(std::move(key), std::move(limit));
  }
  return limits;
}

LogRules parse_rules(const JsonObject& object, const char* field) {
  LogRules rules;
  for (const JsonObject& row : object.objects(field)) {
    row.allow_only({"keys", "limits", "mode", "pattern", "threshold"});
    rules.insert_or_assign(row.string("pattern"),
                           LogRule{.mode = row.string("mode"),
                                   .threshold = row.unsigned_integer("threshold"),
                                   .keys = row.strings("keys"),
                                   .limits = parse_ends(row)});
  }
  return rules;
}

// An organ of before roots remembers none: the first one then.
std::vector<RootSince> parse_roots(const JsonObject& object, const char* field,
                                   const std::string& log_key) {
  if (object.is_null(field)) return {{0, LogRoot::first(log_key)}};
  std::vector<RootSince> roots;
  for (const JsonObject& row : object.objects(field)) {
    row.allow_only({"entry", "root"});
    roots.push_back({row.unsigned_integer("entry"),
                     LogRoot::parse(canonical_json(row.at("root")), row.path() + ": root")});
  }
  return roots;
}

Json roots_json(const std::vector<RootSince>& roots) {
  Json rows = Json::array();
  for (const RootSince& since : roots) {
    rows.push_back(
        {{"entry", since.entry}, {"root", parse_json(since.root.to_text(), {}, "root")}});
  }
  return rows;
}

bool is_first_alone(const std::vector<RootSince>& roots) {
  return roots.size() == 1 && roots.front().entry == 0;
}

// A later word on the end of a key replaces the one before; retired it stays.
void set_end(LogRule& rule, const std::string& key, const std::string& expires) {
  if (expires.empty() && !rule.limits.contains(key)) return;
  KeyLimit& limit = rule.limits[key];
  limit.expires = expires;
  if (limit == KeyLimit{}) rule.limits.erase(key);
}

void retire(LogRule& rule, const std::string& key, std::uint64_t from) {
  if (std::ranges::find(rule.keys, key) == rule.keys.end()) return;
  std::optional<std::uint64_t>& retired = rule.limits[key].retired;
  retired = std::min(retired.value_or(from), from);
}

}  // namespace

Json key_limit_json(const std::string& key, const KeyLimit& limit) {
  return {{"key", key},
          {"expires", limit.expires.empty() ? Json() : Json(limit.expires)},
          {"retired", limit.retired ? Json(*limit.retired) : Json()}};
}

std::pair<std::string, KeyLimit> parse_key_limit(const JsonObject& row) {
  row.allow_only({"expires", "key", "retired"});
  KeyLimit limit{.expires = row.optional_string("expires").value_or(""),
                 .retired = row.optional_unsigned("retired")};
  if (!limit.expires.empty() && !parse_moment(limit.expires)) {
    row.fail_field("expires", quote(limit.expires) + " is no RFC 3339 time in UTC");
  }
  return {row.digest("key").to_string(), std::move(limit)};
}

void LogFacts::add(std::uint64_t index, const LogEntry& entry) {
  const Key version{entry.name, entry.version};
  std::optional<std::string> reason;
  if (!entry.withdrawn) reason = entry.reason;
  switch (entry.kind) {
    case LogKind::publish:
    case LogKind::signature:
    case LogKind::attestation: break;
    case LogKind::yank: set(yanked_, version, reason); break;
    case LogKind::revoke: set(revoked_, version, reason); break;
    case LogKind::alias:
      set(aliases_, {entry.name, entry.alias},
          entry.version.empty() ? std::nullopt : std::optional(entry.version));
      break;
    case LogKind::key:
      if (entry.action == "log_key") {
        change_root(index, entry);
      } else {
        change_rules(entry);
      }
      break;
    case LogKind::root: change_root(index, entry); break;
    case LogKind::policy:
    case LogKind::key_end: change_rules(entry); break;
    case LogKind::supersede: {
      std::optional<Supersession> by;
      if (!entry.withdrawn) by = Supersession{entry.successor, entry.reason};
      set(superseded_, version, by);
      break;
    }
    case LogKind::takedown:  // the first one stands
      taken_down_.try_emplace(version, Takedown{entry.time, entry.reason});
      break;
  }
}

void LogFacts::change_rules(const LogEntry& entry) {
  former_rules_ = rules_;
  if (entry.kind == LogKind::policy) {
    LogRule& rule = rules_[entry.pattern];
    rule.mode = entry.mode;
    rule.threshold = entry.threshold;
  } else if (entry.action == "trust") {
    LogRule& rule = rules_[entry.pattern];
    std::vector<std::string>& keys = rule.keys;
    if (std::ranges::find(keys, entry.key) == keys.end()) keys.push_back(entry.key);
    set_end(rule, entry.key, entry.expires);
  } else {  // everywhere when it names no pattern
    for (auto& [pattern, rule] : rules_) {
      if (!entry.pattern.empty() && entry.pattern != pattern) continue;
      if (entry.action == "retire") {
        retire(rule, entry.key, entry.from);
      } else {
        std::erase(rule.keys, entry.key);
        rule.limits.erase(entry.key);
      }
    }
  }
}

void LogFacts::change_root(std::uint64_t index, const LogEntry& entry) {
  constexpr char kSubject[] = "the log's root";
  const auto next = [&]() -> LogRoot {
    if (entry.kind == LogKind::key) {
      if (root() != nullptr) {
        fail(ErrorCode::untrusted, "{}: the log names its first key twice", kSubject);
      }
      NoteVerifier::parse(entry.key, kSubject);
      return LogRoot::first(entry.key);
    }
    if (root() == nullptr) {
      fail(ErrorCode::untrusted, "{}: nothing is there that it could follow", kSubject);
    }
    return next_root(*root(), entry.note, origin_of(*root()), kSubject);
  };
  try {
    roots_.push_back({index, next()});
  } catch (const Error& error) {
    if (error.code() == ErrorCode::unsupported_version) throw;
    throw LogError(error.code(), fmt::format("entry {}: {}", index, error.message()));
  }
}

std::optional<std::string> LogFacts::yanked(const std::string& name,
                                            const std::string& version) const {
  return find(yanked_, name, version);
}

std::optional<std::string> LogFacts::revoked(const std::string& name,
                                             const std::string& version) const {
  return find(revoked_, name, version);
}

std::optional<Takedown> LogFacts::taken_down(const std::string& name,
                                             const std::string& version) const {
  return find(taken_down_, name, version);
}

std::optional<Supersession> LogFacts::superseded(const std::string& name,
                                                 const std::string& version) const {
  return find(superseded_, name, version);
}

std::optional<std::string> LogFacts::alias(const std::string& name,
                                           const std::string& alias) const {
  return find(aliases_, name, alias);
}

void LogFacts::hide(const std::string& name, const std::string& version, std::uint64_t entry) {
  hidden_.insert_or_assign({name, version}, entry);
}

std::optional<std::uint64_t> LogFacts::hidden(const std::string& name,
                                              const std::string& version) const {
  return find(hidden_, name, version);
}

std::vector<std::string> LogFacts::aliases_of(const std::string& name,
                                              const std::string& version) const {
  std::vector<std::string> found;
  for (auto at = aliases_.lower_bound({name, ""}); at != aliases_.end() && at->first.first == name;
       ++at) {
    if (at->second == version) found.push_back(at->first.second);
  }
  return found;
}

Json LogFacts::to_json() const {
  Json facts = {{"yanked", rows_json(yanked_)},
                {"revoked", rows_json(revoked_)},
                {"aliases", rows_json(aliases_)},
                {"rules", rules_json(rules_)},
                {"former_rules", rules_json(former_rules_)}};
  // Left out while there are none, so that an organ of before reads what is remembered of a log
  // that it can read.
  if (!is_first_alone(roots_)) facts["roots"] = roots_json(roots_);
  if (!superseded_.empty()) facts["superseded"] = rows_json(superseded_);
  if (!taken_down_.empty()) facts["taken_down"] = rows_json(taken_down_);
  return facts;
}

LogFacts LogFacts::parse(const JsonObject& object, const std::string& log_key) {
  object.allow_only({"aliases", "former_rules", "revoked", "roots", "rules", "superseded",
                     "taken_down", "yanked"});
  LogFacts facts;
  facts.yanked_ = parse_texts(object, "yanked");
  facts.revoked_ = parse_texts(object, "revoked");
  facts.superseded_ = parse_supersessions(object, "superseded");
  facts.taken_down_ = parse_takedowns(object, "taken_down");
  facts.aliases_ = parse_texts(object, "aliases");
  facts.rules_ = parse_rules(object, "rules");
  facts.former_rules_ = parse_rules(object, "former_rules");
  facts.roots_ = parse_roots(object, "roots", log_key);
  return facts;
}

std::optional<std::uint64_t> require_signed(const Log& log, const std::string& note,
                                            const LogFacts& facts) {
  if (facts.root() == nullptr) {
    throw LogError(ErrorCode::corrupt, "organ/log: does not begin with the log's key");
  }
  const std::string& log_key = facts.root()->log_key;
  const bool was_one = std::ranges::any_of(facts.roots(), [&](const RootSince& since) {
    return since.root.log_key == log.verifier_key();
  });
  if (!was_one) {
    throw LogError(ErrorCode::untrusted,
                   fmt::format("{} is the log's key, and organ/trust/log.vkey pins {}, which none "
                               "of its entries names",
                               quote(log_key), quote(log.verifier_key())));
  }
  try {
    return log.signed_at(log_key, note);
  } catch (const Error& error) {
    throw LogError(error.code(),
                   fmt::format("{} is the log's key, and its checkpoint is not signed "
                               "with it: {}",
                               quote(log_key), error.message()));
  }
}

LogPosition add_facts(const Log& log, const LogPosition& from, LogFacts& facts,
                      const Log::Visitor& visit) {
  const SignedCheckpoint now = log.signed_checkpoint();
  if (now.tree.size == from.entries() && now.tree.root == from.tree.root()) {
    require_signed(log, now.note, facts);
    return from;
  }
  LogFacts more = facts;
  LogScan scan = log.scan(from, [&](const LogPlace& place, const LogEntry& entry) {
    more.add(place.index, entry);
    if (visit) visit(place, entry);
  });
  require_signed(log, scan.note, more);
  facts = std::move(more);
  return std::move(scan.end);
}

}  // namespace organ::registry
