// SPDX-License-Identifier: Apache-2.0
// Who may publish what: patterns of names, each with keys, a threshold and a mode. What is in force
// follows from the log's signed entries (Registry::policy); policy.json shows it
// (schemas/policy.v1.schema.json). Only values; nothing here touches the registry's files except
// the keys that are named by their ids.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/organ/organ_source.h"
#include "format/signature/attestation.h"
#include "format/signature/signing.h"

#pragma GCC visibility push(default)

namespace organ::registry {

inline constexpr std::size_t kMostKeys = 64;  // of one rule

// What an organ without enough good signatures gets. enforce: a refusal; warn: a warning, but
// damaged signatures are refused; off: a warning that nobody was asked. One that is not what a key
// of the rule signed is refused in every mode.
enum class PolicyMode { enforce, warn, off };
std::string_view to_string(PolicyMode mode);  // throws invalid_argument for any other value

// A key of a rule that does not count for ever.
struct LimitedKey {
  format::KeyId key;
  std::string expires;  // RFC 3339 UTC: signatures that were entered before count; empty: no end
  std::optional<std::uint64_t> retired;  // those that entries before this one entered count
  bool operator==(const LimitedKey&) const = default;
};

// When a signature came into the log: with which entry, and at what time (seconds since 1970), the
// largest time of the entries up to that one.
struct LogAnchor {
  std::uint64_t index = 0;
  std::uint64_t time = 0;
};
// Of a signature bundle, by its whole text; nothing when no log says.
using SignatureAnchors = std::function<std::optional<LogAnchor>(const std::string& bundle)>;

// One rule. `pattern` is a name, `*` (every name) or `prefix/*` (every name below prefix); the
// longest matching pattern wins. Keys are distinct; `threshold` of them must have signed: more than
// there are (keys were distrusted) and nothing satisfies the rule.
struct PolicyRule {
  std::string pattern;
  PolicyMode mode = PolicyMode::enforce;
  std::uint64_t threshold = 1;
  std::vector<format::PublicKey> keys;
  std::vector<LimitedKey> limits = {};  // by key
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
  // The canonical text of the rules, by pattern; keys as ids. parse() takes it back as long as the
  // keys lie in the trust folder and no threshold is above its rule's number of keys.
  std::string to_text() const;

  // One rule, its keys those of these ids in `trust_folder`. Throws corrupt, not_found, and
  // invalid_argument for a pattern outside the grammar or a pattern that is there already.
  void add_rule(const std::string& pattern, std::string_view mode, std::uint64_t threshold,
                const std::vector<std::string>& key_ids, const std::filesystem::path& trust_folder,
                std::vector<LimitedKey> limits = {});

  const std::vector<PolicyRule>& rules() const { return rules_; }  // by pattern
  // Adds `key` to the rule of exactly `pattern` (made when missing). Throws invalid_argument for
  // a pattern outside the grammar. Returns false when the key was there already.
  bool trust(const std::string& pattern, const format::PublicKey& key);

  // The rule whose pattern matches best; `fallback` when none does (has_rule says which). Lives
  // until a rule is added.
  bool has_rule(std::string_view name) const;
  const PolicyRule& rule_for(std::string_view name) const;

 private:
  std::vector<PolicyRule> rules_;  // sorted by pattern
  PolicyRule fallback_{"*", PolicyMode::enforce, 1, {}};
};

// Where the name of an organ comes from: a registry's log or the caller (known), or the organ
// itself (claimed). On its own word nothing gets a rule that is weaker than enforce.
enum class Naming { known, claimed };

// What the caller adds for one run; the keys and allow_unsigned are written into the receipt of an
// install.
struct TrustOverride {
  std::vector<format::PublicKey> keys;  // --key: replaces the rule's keys; its threshold stays
  bool allow_unsigned = false;          // --allow-unsigned: a failed signature check only warns
  // --ca-roots: certificates count too, and keys only of those given; no policy trusts roots.
  std::optional<format::CertificateTrust> certificates = {};
  bool legacy = false;  // --legacy-signatures: bundles of model_signing 0.2 count too
  // Bundles beside those that come with the organ.
  std::vector<std::string> attestations = {};
  // --attester: whose statements count, in place of the keys that may publish.
  std::vector<format::PublicKey> attesters = {};
};

// Something that a bundle states of an organ, and whether that counts: it is about this organ, and
// a key that its rule trusts signed it in time.
struct JudgedAttestation {
  std::optional<format::Attestation> statement = {};  // nullopt: it cannot be read
  bool trusted = false;
  std::string problem = {};  // why it is not trusted
  bool unread = false;       // the medium did not give it: what it states nobody knows
};

// What is known about the origin of one organ. `refusals` is empty when it may be installed.
struct TrustVerdict {
  bool trusted() const { return refusals.empty(); }

  std::vector<std::string> established;      // sentences: what was proved, by which key
  std::vector<std::string> not_established;  // what nobody can know from here
  std::vector<std::string> policy;           // which rule applied, what was overridden
  std::vector<format::KeyId> keys;           // distinct keys with a good, complete signature
  std::vector<format::CertificateSigner> certificates;  // of those that a certificate names
  std::vector<format::Finding> refusals;                // untrusted or corrupt
  std::vector<format::Finding> warnings;                // what warn mode or the override let pass
  // Not of evaluate_policy, which asks who made the organ.
  std::vector<JudgedAttestation> attestations = {};
};

// Verifies every signature bundle of `organ` with the keys that apply to `name` and judges the
// result. A key counts once. Bundles of unknown keys are reported, never counted. An organ that is
// not what a key of the rule signed is refused in every mode. Reads no file contents: combine with
// verify_contents. A key that is limited counts for a signature that came before its end, as
// `anchors` say; without them a retired key counts for none, and one that expires until then.
TrustVerdict evaluate_policy(const Policy& policy, std::string_view name,
                             const format::OrganSource& organ, const TrustOverride& override = {},
                             Naming naming = Naming::known, const SignatureAnchors& anchors = {});

}  // namespace organ::registry

#pragma GCC visibility pop
