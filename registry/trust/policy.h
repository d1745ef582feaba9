// SPDX-License-Identifier: Apache-2.0
// Who may publish what: policy.json maps name patterns to keys, a threshold and a mode
// (schemas/policy.v1.schema.json). Only values; nothing here touches the registry's files except
// load_policy.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "format/organ/organ_source.h"
#include "format/signature/signing.h"

#pragma GCC visibility push(default)

namespace organ::registry {

enum class PolicyMode { enforce, warn, off };
std::string_view to_string(PolicyMode mode);

// One rule. `pattern` is a name, `*` (every name) or `prefix/*` (every name below prefix); the
// longest matching pattern wins. Keys are distinct; `threshold` of them must have signed.
struct PolicyRule {
  std::string pattern;
  PolicyMode mode = PolicyMode::enforce;
  std::uint64_t threshold = 1;
  std::vector<format::PublicKey> keys;
};

// The rules of one registry. Without a matching rule a name falls under `fallback`: enforce, no
// keys, which refuses everything that no --key vouches for.
class Policy {
 public:
  // Parses policy.json; key entries are PEM texts or ids of files TRUST_FOLDER/<64 hex>.pem.
  // Throws corrupt (malformed, duplicate pattern, threshold above the number of keys, a key file
  // whose content has another id) or unsupported_version.
  static Policy parse(std::string_view text, std::string_view subject,
                      const std::filesystem::path& trust_folder);
  // The canonical text of the rules; keys as ids.
  std::string to_text() const;

  const std::vector<PolicyRule>& rules() const { return rules_; }
  // Adds `key` to the rule of exactly `pattern` (made when missing). Throws invalid_argument for
  // a pattern outside the grammar. Returns false when the key was there already.
  bool trust(const std::string& pattern, const format::PublicKey& key);

  // The rule whose pattern matches best; `fallback` when none does (has_rule says which).
  bool has_rule(std::string_view name) const;
  const PolicyRule& rule_for(std::string_view name) const;

 private:
  std::vector<PolicyRule> rules_;  // sorted by pattern
  PolicyRule fallback_{"*", PolicyMode::enforce, 1, {}};
};

// What the caller adds for one run; both are written into the receipt of an install.
struct TrustOverride {
  std::vector<format::PublicKey> keys;  // --key: replaces the rule's keys, threshold 1
  bool allow_unsigned = false;          // --allow-unsigned: a failed signature check only warns
};

// What is known about the origin of one organ. `refusals` is empty when it may be installed.
struct TrustVerdict {
  bool trusted() const { return refusals.empty(); }

  std::vector<std::string> established;      // sentences: what was proved, by which key
  std::vector<std::string> not_established;  // what nobody can know from here
  std::vector<std::string> policy;           // which rule applied, what was overridden
  std::vector<format::KeyId> keys;           // distinct keys with a good, complete signature
  std::vector<format::Finding> refusals;     // untrusted or corrupt
  std::vector<format::Finding> warnings;     // what warn mode or the override let pass
};

// Verifies every signature bundle of `organ` with the keys that apply to `name` and judges the
// result. A key counts once. Bundles of unknown keys are reported, never counted. Reads no file
// contents: combine with verify_contents.
TrustVerdict evaluate_policy(const Policy& policy, std::string_view name,
                             const format::OrganSource& organ, const TrustOverride& override = {});

}  // namespace organ::registry

#pragma GCC visibility pop
