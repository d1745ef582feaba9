// SPDX-License-Identifier: Apache-2.0
#include "registry/trust/internal/applicable.h"

#include <algorithm>

#include "format/base/fail.h"
#include "registry/log/moment.h"

namespace organ::registry {
namespace {

std::string too_late(const LimitedKey& limit, const std::optional<LogAnchor>& anchor,
                     std::uint64_t now) {
  const std::string key = limit.key.to_string();
  if (limit.retired && !anchor) {
    return fmt::format(
        "key {} is retired: what it signed counts only where the log entered it "
        "before entry {}",
        key, *limit.retired);
  }
  if (limit.retired && anchor->index >= *limit.retired) {
    return fmt::format(
        "key {} is retired from entry {} of the log on, and this signature did not "
        "come before",
        key, *limit.retired);
  }
  const auto end = parse_moment(limit.expires);
  if (end && (anchor ? anchor->time : now) >= *end) {
    return fmt::format("key {} counted until {}, and this signature did not come before", key,
                       limit.expires);
  }
  return {};
}

}  // namespace

const LimitedKey* limit_of(const PolicyRule& rule, const format::KeyId& key) {
  const auto found = std::ranges::find(rule.limits, key, &LimitedKey::key);
  return found == rule.limits.end() ? nullptr : &*found;
}

std::string why_too_late(const PolicyRule& rule, const format::KeyId& key,
                         const std::string& bundle, const SignatureAnchors& anchors,
                         std::uint64_t now) {
  const LimitedKey* limit = limit_of(rule, key);
  if (limit == nullptr) return {};
  return too_late(*limit, anchors ? anchors(bundle) : std::nullopt, now);
}

// Given keys and roots replace the keys of the rule, not how many signers there must be.
PolicyRule applicable(const Policy& policy, std::string_view name, const TrustOverride& override,
                      Naming naming) {
  PolicyRule rule = policy.rule_for(name);
  if (!override.keys.empty() || override.certificates) {
    rule.keys = override.keys;
    rule.mode = PolicyMode::enforce;
  }
  if (naming == Naming::claimed) rule.mode = PolicyMode::enforce;
  if (rule.mode != PolicyMode::off) rule.threshold = std::max<std::uint64_t>(rule.threshold, 1);
  return rule;
}

}  // namespace organ::registry
