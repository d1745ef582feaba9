// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "format/base/fail.h"
#include "format/manifest/manifest.h"
#include "registry/log/moment.h"
#include "registry/trust/freshness.h"
#include "registry/trust/policy.h"

namespace organ::registry {
namespace {

using format::Finding;

constexpr std::size_t kMaxStrangers = 64;  // problems of keys that do not count: those told

// The good keys of an organ's bundles, and everything that was wrong with the others.
struct Evidence {
  std::vector<format::KeyId> keys;
  std::vector<std::string> signers;  // the same keys for people
  std::vector<format::CertificateSigner> certificates;
  std::vector<Finding> problems;        // no signature, unknown key, malformed
  std::vector<Finding> contradictions;  // a trusted key signed something else
  std::vector<std::string> late;        // good, and after the end of its key
};

const LimitedKey* limit_of(const PolicyRule& rule, const format::KeyId& key) {
  const auto found = std::ranges::find(rule.limits, key, &LimitedKey::key);
  return found == rule.limits.end() ? nullptr : &*found;
}

// Why a good signature came too late for its key; empty: it did not.
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

struct Judging {
  const PolicyRule& rule;
  const format::SignerTrust& trust;
  const format::OrganSource& organ;
  const SignatureAnchors& anchors;
  std::uint64_t now;

  std::string too_late(const std::string& bundle, const format::KeyId& key) const {
    const LimitedKey* limit = limit_of(rule, key);
    if (limit == nullptr) return {};
    return registry::too_late(*limit, anchors ? anchors(bundle) : std::nullopt, now);
  }
};

// The signer of a good signature as the end of a sentence.
std::string describe_signer(const format::SignedStatement& statement) {
  if (!statement.certificate) return "key " + statement.key.to_string();
  const format::CertificateSigner& signer = *statement.certificate;
  std::string text =
      fmt::format("{}, certificate {}", signer.describe(), signer.fingerprint.to_string());
  if (!signer.stamped) return text;
  return text + fmt::format(", not after {}, as {} stamped", format::time_text(*signer.stamped),
                            escape_text(signer.stamped_by));
}

// One key counts once, however often it signed, and one certified name, whatever its keys.
void add_signer(const format::SignedStatement& statement, Evidence& out) {
  if (std::ranges::find(out.keys, statement.key) != out.keys.end()) return;
  const auto& signer = statement.certificate;
  if (signer && std::ranges::find(out.certificates, signer->subject,
                                  &format::CertificateSigner::subject) != out.certificates.end()) {
    return;
  }
  out.keys.push_back(statement.key);
  out.signers.push_back(describe_signer(statement));
  if (signer) out.certificates.push_back(*signer);
}

void judge_bundle(const std::string& bundle, const Judging& by, const std::string& subject,
                  Evidence& out) {
  try {
    const format::SignedStatement statement = format::judge_bundle(bundle, by.trust, subject);
    std::vector<Finding> differences = format::compare_statement(statement, by.organ);
    if (!differences.empty()) {
      out.contradictions.insert(out.contradictions.end(), differences.begin(), differences.end());
    } else if (std::string late = by.too_late(bundle, statement.key); !late.empty()) {
      out.late.push_back(late);
      out.problems.push_back({ErrorCode::untrusted, subject, std::move(late)});
    } else {
      add_signer(statement, out);
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::untrusted && error.code() != ErrorCode::corrupt) throw;
    out.problems.push_back(Finding::of(subject, error));
  }
}

// Whoever may publish may attach signatures: those of strangers are told up to a number and never
// stand in the way of others.
void keep_few(std::vector<Finding>& problems) {
  if (problems.size() <= kMaxStrangers) return;
  const std::size_t more = problems.size() - kMaxStrangers;
  problems.resize(kMaxStrangers);
  problems.push_back({ErrorCode::untrusted, std::string(format::kSignatureFile),
                      fmt::format("{} further signatures count for nothing", more)});
}

Evidence gather(const Judging& by) {
  Evidence evidence;
  const std::vector<std::string> bundles = by.organ.signature_bundles();
  for (std::size_t i = 0; i < bundles.size(); ++i) {
    const std::string subject =
        bundles.size() == 1 ? std::string(format::kSignatureFile) : fmt::format("signature {}", i);
    judge_bundle(bundles[i], by, subject, evidence);
  }
  keep_few(evidence.problems);
  if (bundles.empty()) {
    evidence.problems.push_back(
        {ErrorCode::untrusted, std::string(format::kSignatureFile), "the organ is not signed"});
  }
  return evidence;
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

std::string describe_rule(const Policy& policy, std::string_view name, const PolicyRule& rule,
                          const TrustOverride& override) {
  if (override.certificates) {
    const std::string& identity = override.certificates->identity;
    return fmt::format(
        "overridden by --ca-roots: {} must have signed, of {} given keys and whom {} given roots "
        "certify as {}",
        rule.threshold, override.keys.size(), override.certificates->roots.size(),
        identity.empty() ? "anyone" : quote(identity));
  }
  if (!override.keys.empty()) {
    return fmt::format("overridden by --key: {} of {} given keys must have signed", rule.threshold,
                       override.keys.size());
  }
  if (!policy.has_rule(name)) {
    return fmt::format("no rule matches {}: enforce without keys", quote(name));
  }
  const PolicyMode written = policy.rule_for(name).mode;
  if (written != rule.mode) {
    return fmt::format(
        "rule {}: {} of {} keys must have signed; its {} is not taken on the organ's "
        "own word for its name",
        quote(rule.pattern), rule.threshold, rule.keys.size(), to_string(written));
  }
  return fmt::format("rule {}: {}, {} of {} keys must have signed", quote(rule.pattern),
                     to_string(rule.mode), rule.threshold, rule.keys.size());
}

std::string describe_shortfall(const PolicyRule& rule, const TrustOverride& override,
                               std::size_t good, const std::vector<std::string>& late) {
  if (override.certificates) {
    return fmt::format("signed by {} for whom a given key or root vouches, {} needed", good,
                       rule.threshold);
  }
  if (rule.keys.empty()) return "no key is trusted for it, so no signature counts";
  return fmt::format("signed by {} of the {} trusted keys, {} needed{}", good, rule.keys.size(),
                     rule.threshold, late.empty() ? "" : ": " + late.front());
}

// Damage is refused in every mode; a missing or unknown signature only where it is enforced.
void sort_problems(const std::vector<Finding>& problems, bool satisfied, bool lenient,
                   TrustVerdict& verdict) {
  for (const Finding& problem : problems) {
    const bool tolerated = satisfied || (lenient && problem.code == ErrorCode::untrusted);
    (tolerated ? verdict.warnings : verdict.refusals).push_back(problem);
  }
}

// What comes to an end, ahead; what came to it is history.
void say_ends(const PolicyRule& rule, const std::vector<format::KeyId>& keys, std::uint64_t now,
              TrustVerdict& verdict) {
  for (const format::KeyId& key : keys) {
    const LimitedKey* limit = limit_of(rule, key);
    const auto end = limit == nullptr ? std::nullopt : parse_moment(limit->expires);
    if (!end) continue;
    if (now >= *end) {
      verdict.policy.push_back(fmt::format("key {} counted until {}; this signature came before",
                                           key.to_string(), limit->expires));
    } else if (*end - now <= kWarnAhead) {
      verdict.warnings.push_back(
          {ErrorCode::untrusted, "key " + key.to_string(),
           fmt::format("counts until {}, for {} more: what is published later needs another one",
                       limit->expires, span_text(*end - now))});
    }
  }
}

}  // namespace

TrustVerdict evaluate_policy(const Policy& policy, std::string_view name,
                             const format::OrganSource& organ, const TrustOverride& override,
                             Naming naming, const SignatureAnchors& anchors) {
  const PolicyRule rule = applicable(policy, name, override, naming);
  TrustVerdict verdict;
  verdict.policy.push_back(describe_rule(policy, name, rule, override));
  const auto now = static_cast<std::uint64_t>(format::clock_seconds());
  const format::SignerTrust trust{rule.keys, override.certificates, override.legacy};
  const Evidence evidence = gather({rule, trust, organ, anchors, now});
  sort_problems(evidence.contradictions, false, false, verdict);
  if (rule.mode == PolicyMode::off) {
    verdict.not_established.push_back("who made it: the policy turns signature checks off");
    verdict.warnings.push_back({ErrorCode::untrusted, std::string(name),
                                fmt::format("rule {} turns signature checks off: who made it was "
                                            "not asked",
                                            quote(rule.pattern))});
    return verdict;
  }
  verdict.keys = evidence.keys;
  verdict.certificates = evidence.certificates;
  for (const std::string& signer : evidence.signers) {
    verdict.established.push_back(fmt::format("organ.json and its {} files are signed by {}",
                                              organ.manifest().files.size(), signer));
  }
  say_ends(rule, evidence.keys, now, verdict);
  const bool asked = !rule.keys.empty() || override.certificates;
  const bool satisfied = asked && evidence.keys.size() >= rule.threshold;
  const bool lenient = override.allow_unsigned || rule.mode == PolicyMode::warn;
  std::vector<Finding> problems = evidence.problems;
  if (!satisfied) {
    verdict.not_established.push_back("who made it");
    problems.insert(problems.begin(),
                    {ErrorCode::untrusted, std::string(name),
                     describe_shortfall(rule, override, evidence.keys.size(), evidence.late)});
  }
  if (override.allow_unsigned) verdict.policy.push_back("overridden by --allow-unsigned");
  sort_problems(problems, satisfied, lenient, verdict);
  return verdict;
}

}  // namespace organ::registry
