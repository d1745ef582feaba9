// SPDX-License-Identifier: Apache-2.0
#include "registry/trust/policy.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/json.h"
#include "format/manifest/reference.h"
#include "registry/log/facts.h"

namespace organ::registry {
namespace {

using format::PublicKey;

constexpr std::uint64_t kPolicyVersion = 1;
constexpr std::string_view kModes[] = {"enforce", "warn", "off"};

bool is_wildcard(std::string_view pattern) { return pattern == "*" || pattern.ends_with("/*"); }

// A name, "*", or a name followed by "/*".
void check_pattern(std::string_view pattern) {
  if (pattern == "*") return;
  const std::string_view name =
      is_wildcard(pattern) ? pattern.substr(0, pattern.size() - 2) : pattern;
  try {
    format::check_name(name);
  } catch (const Error& error) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("pattern {}: {}", quote(pattern), error.message()),
                "a pattern is a name, '*' or 'prefix/*'");
  }
}

bool matches(std::string_view pattern, std::string_view name) {
  if (pattern == "*") return true;
  if (!is_wildcard(pattern)) return pattern == name;
  return name.starts_with(pattern.substr(0, pattern.size() - 1));
}

// An exact name beats a prefix, a longer prefix beats a shorter one.
std::size_t weight(std::string_view pattern) {
  return is_wildcard(pattern) ? pattern.size() - 1 : std::string::npos;
}

std::optional<PolicyMode> mode_of(std::string_view name) {
  const auto at = std::find(std::begin(kModes), std::end(kModes), name);
  if (at == std::end(kModes)) return std::nullopt;
  return static_cast<PolicyMode>(at - std::begin(kModes));
}

PolicyMode parse_mode(const JsonObject& object) {
  const std::string name = object.string("mode");
  if (const auto mode = mode_of(name)) return *mode;
  object.fail_field("mode", "is " + quote(name) + ", expected enforce, warn or off");
}

PublicKey load_key(const std::string& id_text, const std::filesystem::path& trust_folder) {
  const Digest id = Digest::parse(id_text, "key");
  PublicKey key = PublicKey::load(trust_folder / (id.hex() + ".pem"));
  if (key.id() == id) return key;
  fail(ErrorCode::corrupt, "the file of key {} holds key {}", id.to_string(), key.id().to_string());
}

PublicKey parse_key(const JsonObject& rule, const std::string& text,
                    const std::filesystem::path& trust_folder) {
  try {
    if (text.starts_with("-----")) return PublicKey::parse(text, rule.path());
    return load_key(text, trust_folder);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::io) throw;
    rule.fail_field("keys", error.message());
  }
}

// Left out where there is none.
std::vector<LimitedKey> parse_limits(const JsonObject& rule) {
  std::vector<LimitedKey> limits;
  if (rule.is_null("limits")) return limits;
  for (const JsonObject& row : rule.objects("limits")) {
    auto [key, limit] = parse_key_limit(row);
    limits.push_back({Digest::parse(key, "key"), std::move(limit.expires), limit.retired});
  }
  return limits;
}

Json limits_json(const std::vector<LimitedKey>& limits) {
  Json rows = Json::array();
  for (const LimitedKey& limit : limits) {
    rows.push_back(key_limit_json(limit.key.to_string(), {limit.expires, limit.retired}));
  }
  return rows;
}

PolicyRule parse_rule(const JsonObject& object, const std::filesystem::path& trust_folder) {
  object.allow_only({"keys", "limits", "mode", "pattern", "threshold"});
  PolicyRule rule;
  rule.pattern = object.string("pattern");
  try {
    check_pattern(rule.pattern);
  } catch (const Error& error) {
    object.fail_field("pattern", error.message());
  }
  rule.mode = parse_mode(object);
  const std::vector<std::string> keys = object.strings("keys");
  if (keys.size() > kMostKeys) object.fail_field("keys", "has more than 64 elements");
  for (const std::string& text : keys) {
    PublicKey key = parse_key(object, text, trust_folder);
    for (const PublicKey& other : rule.keys) {
      if (other.id() == key.id()) object.fail_field("keys", "names one key twice");
    }
    rule.keys.push_back(std::move(key));
  }
  rule.limits = parse_limits(object);
  rule.threshold = object.unsigned_integer("threshold", kMostKeys);
  const bool counts = rule.mode != PolicyMode::off;
  if (counts && (rule.threshold == 0 || rule.threshold > rule.keys.size())) {
    object.fail_field("threshold", fmt::format("is {}, expected 1 to {} (the number of keys)",
                                               rule.threshold, rule.keys.size()));
  }
  return rule;
}

}  // namespace

std::string_view to_string(PolicyMode mode) {
  const auto at = static_cast<std::size_t>(mode);
  if (at < std::size(kModes)) return kModes[at];
  fail(ErrorCode::invalid_argument, "mode: expected enforce, warn or off, got the number {}",
       static_cast<int>(mode));
}

Policy Policy::parse(std::string_view text, std::string_view subject,
                     const std::filesystem::path& trust_folder) {
  const Json json = parse_json(text, {.bytes = 1 << 20, .depth = 6}, subject);
  const JsonObject object(json, std::string(subject));
  object.require_schema(kPolicyVersion, "a newer organ wrote it");
  object.allow_only({"rules", "schema_version"});
  Policy policy;
  for (const JsonObject& element : object.objects("rules")) {
    PolicyRule rule = parse_rule(element, trust_folder);
    for (const PolicyRule& other : policy.rules_) {
      if (other.pattern == rule.pattern) element.fail_field("pattern", "is there twice");
    }
    policy.rules_.push_back(std::move(rule));
  }
  std::ranges::sort(policy.rules_, {}, &PolicyRule::pattern);
  return policy;
}

std::string Policy::to_text() const {
  Json rules = Json::array();
  for (const PolicyRule& rule : rules_) {
    Json keys = Json::array();
    for (const PublicKey& key : rule.keys) keys.push_back(key.id().to_string());
    rules.push_back({{"pattern", rule.pattern},
                     {"mode", to_string(rule.mode)},
                     {"threshold", rule.threshold},
                     {"keys", keys}});
    if (!rule.limits.empty()) rules.back()["limits"] = limits_json(rule.limits);
  }
  return pretty_json({{"schema_version", kPolicyVersion}, {"rules", rules}});
}

bool Policy::trust(const std::string& pattern, const PublicKey& key) {
  check_pattern(pattern);
  auto at = std::ranges::lower_bound(rules_, pattern, {}, &PolicyRule::pattern);
  if (at == rules_.end() || at->pattern != pattern) {
    at = rules_.insert(at, PolicyRule{pattern, PolicyMode::enforce, 1, {}});
  }
  for (const PublicKey& other : at->keys) {
    if (other.id() == key.id()) return false;
  }
  at->keys.push_back(key);
  return true;
}

void Policy::add_rule(const std::string& pattern, std::string_view mode, std::uint64_t threshold,
                      const std::vector<std::string>& key_ids,
                      const std::filesystem::path& trust_folder, std::vector<LimitedKey> limits) {
  check_pattern(pattern);
  const auto at = std::ranges::lower_bound(rules_, pattern, {}, &PolicyRule::pattern);
  if (at != rules_.end() && at->pattern == pattern) {
    fail(ErrorCode::invalid_argument, "pattern {}: is there twice", quote(pattern));
  }
  const auto known = mode_of(mode);
  if (!known) fail(ErrorCode::corrupt, "pattern {}: mode {}", quote(pattern), quote(mode));
  PolicyRule rule{pattern, *known, threshold, {}, std::move(limits)};
  for (const std::string& id : key_ids) rule.keys.push_back(load_key(id, trust_folder));
  rules_.insert(at, std::move(rule));
}

bool Policy::has_rule(std::string_view name) const { return &rule_for(name) != &fallback_; }

const PolicyRule& Policy::rule_for(std::string_view name) const {
  const PolicyRule* best = nullptr;
  for (const PolicyRule& rule : rules_) {
    const bool better = best == nullptr || weight(rule.pattern) > weight(best->pattern);
    if (matches(rule.pattern, name) && better) best = &rule;
  }
  return best != nullptr ? *best : fallback_;
}

}  // namespace organ::registry
