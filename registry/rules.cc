// SPDX-License-Identifier: Apache-2.0
// Whose keys count: each change is a signed entry of the log, policy.json shows the outcome.
#include <algorithm>
#include <set>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "registry/internal/registry_impl.h"
#include "registry/log/moment.h"

namespace organ::registry {
namespace {

LogEntry key_entry(const char* action, const std::string& key, const std::string& pattern) {
  LogEntry entry = entry_of(LogKind::key);
  entry.action = action;
  entry.key = key;
  entry.pattern = pattern;
  return entry;
}

LogEntry rule_entry(const std::string& pattern, std::string_view mode, std::uint64_t threshold) {
  LogEntry entry = entry_of(LogKind::policy);
  entry.pattern = pattern;
  entry.mode = mode;
  entry.threshold = threshold;
  return entry;
}

bool names(const LogRule& rule, const std::string& key) {
  return std::ranges::find(rule.keys, key) != rule.keys.end();
}

LogRule rule_of(const LogRules& rules, const std::string& pattern) {
  const auto at = rules.find(pattern);
  return at == rules.end() ? LogRule{} : at->second;
}

// From one rule to another, never by way of one that asks for less than both.
void add_changes(const std::string& pattern, const LogRule& now, const LogRule& wanted,
                 std::vector<LogEntry>& entries) {
  LogRule at = now;
  const auto set = [&](const std::string& mode, std::uint64_t threshold) {
    if (at.mode == mode && at.threshold == threshold) return;
    at.mode = mode;
    at.threshold = threshold;
    entries.push_back(rule_entry(pattern, mode, threshold));
  };
  if (!now.keys.empty()) set("enforce", std::max(now.threshold, wanted.threshold));
  for (const std::string& key : now.keys) {
    if (!names(wanted, key)) entries.push_back(key_entry("distrust", key, pattern));
  }
  for (const std::string& key : wanted.keys) {
    if (!names(now, key)) entries.push_back(key_entry("trust", key, pattern));
  }
  set(wanted.mode, wanted.threshold);
}

LogRule in_words(const PolicyRule& rule) {
  LogRule out{.mode = std::string(to_string(rule.mode)),
              .threshold = std::max<std::uint64_t>(rule.threshold, 1),
              .keys = {}};
  for (const LimitedKey& limit : rule.limits) {
    out.limits[limit.key.to_string()] = {limit.expires, limit.retired};
  }
  for (const format::PublicKey& key : rule.keys) out.keys.push_back(key.id().to_string());
  return out;
}

}  // namespace

void Registry::Impl::add_key(const format::PublicKey& key) const {
  write_file(paths.trust() / (key.id().hex() + ".pem"), key.pem(), AtomicFile::Mode::replace, 0666,
             Rights::folder);
}

bool Registry::trust(const std::string& pattern, const format::PublicKey& key,
                     const std::string& expires, const Work& work) {
  Policy grammar;
  grammar.trust(pattern, key);
  if (!expires.empty() && !parse_moment(expires)) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("expires: {} is no RFC 3339 time in UTC", quote(expires)),
                "2028-01-31T00:00:00Z is one");
  }
  const FileLock lock = impl_->lock_to_write(work);
  const LogRule rule = rule_of(impl_->facts().rules(), pattern);
  const std::string id = key.id().to_string();
  const auto limit = rule.limits.find(id);
  const std::string end = limit == rule.limits.end() ? std::string() : limit->second.expires;
  if (names(rule, id) && (expires.empty() || end == expires)) return false;
  if (!names(rule, id) && rule.keys.size() >= kMostKeys) {
    fail(ErrorCode::invalid_argument, "pattern {}: {} keys are trusted already, that is the most",
         quote(pattern), rule.keys.size());
  }
  work.require_wanted();  // from here on it is completed
  impl_->add_key(key);
  LogEntry entry = key_entry("trust", id, pattern);
  if (!expires.empty()) entry.kind = LogKind::key_end;
  entry.expires = expires;
  impl_->require_policy_room({&entry, 1});
  impl_->commit(entry);
  impl_->show_policy();
  return true;
}

bool Registry::retire(const format::KeyId& key, std::optional<std::uint64_t> from,
                      const std::string& pattern, const Work& work) {
  const FileLock lock = impl_->lock_to_write(work);
  const std::uint64_t next = impl_->catalog.position().entries();
  if (from.value_or(next) > next) {
    fail(ErrorCode::invalid_argument, "entry {} is yet to come: the log has {}", *from, next);
  }
  LogEntry entry = key_entry("retire", key.to_string(), pattern);
  entry.kind = LogKind::key_end;
  entry.from = from.value_or(next);
  const bool changes = std::ranges::any_of(impl_->facts().rules(), [&](const auto& one) {
    const auto& [matched, rule] = one;
    if ((!pattern.empty() && matched != pattern) || !names(rule, entry.key)) return false;
    const auto limit = rule.limits.find(entry.key);
    return limit == rule.limits.end() || limit->second.retired.value_or(next + 1) > entry.from;
  });
  if (!changes) return false;
  impl_->require_policy_room({&entry, 1});
  impl_->commit(entry, work);
  impl_->show_policy();
  return true;
}

bool Registry::distrust(const format::KeyId& key, const std::string& pattern, const Work& work) {
  const FileLock lock = impl_->lock_to_write(work);
  const std::string id = key.to_string();
  const bool known = std::ranges::any_of(impl_->facts().rules(), [&](const auto& rule) {
    return (pattern.empty() || rule.first == pattern) && names(rule.second, id);
  });
  if (!known) return false;
  impl_->commit(key_entry("distrust", id, pattern), work);
  impl_->show_policy();
  return true;
}

void Registry::set_rule(const std::string& pattern, PolicyMode mode, std::uint64_t threshold,
                        const Work& work) {
  const std::string_view wanted = to_string(mode);
  const FileLock lock = impl_->lock_to_write(work);
  const LogRule rule = rule_of(impl_->facts().rules(), pattern);
  if (rule.keys.empty()) {
    throw Error(ErrorCode::not_found,
                fmt::format("pattern {}: no key is trusted for it", quote(pattern)),
                "organ registry trust makes a rule with its first key");
  }
  if (threshold == 0 || threshold > rule.keys.size()) {
    fail(ErrorCode::invalid_argument, "threshold {}, expected 1 to {} (the number of keys)",
         threshold, rule.keys.size());
  }
  if (rule.mode == wanted && rule.threshold == threshold) return;
  impl_->commit(rule_entry(pattern, wanted, threshold), work);
  impl_->show_policy();
}

void Registry::apply(const Policy& policy, const Work& work) {
  const FileLock lock = impl_->lock_to_write(work);
  work.require_wanted();  // from here on it is completed
  LogRules wanted;
  std::set<format::KeyId> added;
  for (const PolicyRule& rule : policy.rules()) {
    for (const format::PublicKey& key : rule.keys) {
      if (added.insert(key.id()).second) impl_->add_key(key);
    }
    wanted[rule.pattern] = in_words(rule);
  }
  const LogRules now = impl_->facts().rules();
  for (const auto& [pattern, rule] : wanted) {
    if (rule.limits.empty() || rule.limits == rule_of(now, pattern).limits) continue;
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("pattern {}: its limits of keys are not those in force", quote(pattern)),
        "organ registry trust --expires and organ registry retire set them");
  }
  for (const auto& [pattern, rule] : now) {
    // Without keys nothing counts: that is how a rule ends.
    if (!wanted.contains(pattern)) wanted[pattern] = {};
  }
  std::vector<LogEntry> entries;
  for (const auto& [pattern, rule] : wanted) {
    add_changes(pattern, rule_of(now, pattern), rule, entries);
  }
  impl_->require_policy_room(entries);
  for (const LogEntry& entry : entries) impl_->commit(entry);
  impl_->show_policy();
}

void Registry::restore_policy(const Work& work) {
  const FileLock lock = impl_->lock_to_write(work);
  work.require_wanted();
  impl_->show_policy();
}

}  // namespace organ::registry
