// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "format/base/fail.h"
#include "format/manifest/manifest.h"
#include "registry/log/moment.h"
#include "registry/trust/freshness.h"
#include "registry/trust/internal/applicable.h"
#include "registry/trust/internal/signers.h"
#include "registry/trust/policy.h"

namespace organ::registry {
namespace {

using format::Finding;

constexpr std::size_t kMaxStrangers = 64;  // problems of keys that do not count: those told

// Who signed an organ, and everything that was wrong with other bundles.
struct Evidence {
  Signers signers;
  std::vector<Finding> notes;           // about signatures that count
  std::vector<Finding> problems;        // no signature, unknown key, malformed
  std::vector<Finding> contradictions;  // a trusted key signed something else
  std::vector<std::string> late;        // good, and after the end of its key
  bool unread = false;                  // nobody could look; one of the contradictions says why
};

struct Judging {
  const PolicyRule& rule;
  const format::SignerTrust& trust;
  const format::OrganSource& organ;
  const SignatureAnchors& anchors;
  std::uint64_t now;

  // Whoever asks for one identity asks for one person.
  bool one_identity() const { return trust.certificates && !trust.certificates->identity.empty(); }
  bool stamps_count() const { return trust.certificates && !trust.certificates->tsa_roots.empty(); }
  std::string too_late(const std::string& bundle, const format::KeyId& key) const {
    return why_too_late(rule, key, bundle, anchors, now);
  }
};

void add_signer(const format::SignedStatement& statement, const Judging& by,
                const std::string& subject, Evidence& out) {
  out.signers.add(
      {statement.key, statement.certificate, statement.legacy, subject, by.one_identity()});
  if (!by.stamps_count()) return;  // nobody asked about times
  for (const std::string& note : statement.notes) {
    if (out.notes.size() == kMaxStrangers) return;
    out.notes.push_back({ErrorCode::untrusted, subject, note});
  }
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
      add_signer(statement, by, subject, out);
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
                      fmt::format("{} count for nothing", counted(more, "further signature"))});
}

// One that cannot be read stands beside what else is found of the organ.
std::vector<std::string> bundles_of(const format::OrganSource& organ, Evidence& out) {
  try {
    return organ.signature_bundles();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    out.unread = true;
    out.contradictions.push_back(Finding::of(std::string(format::kSignatureFile), error));
    return {};
  }
}

Evidence gather(const Judging& by) {
  Evidence evidence;
  const std::vector<std::string> bundles = bundles_of(by.organ, evidence);
  for (std::size_t i = 0; i < bundles.size(); ++i) {
    const std::string subject =
        bundles.size() == 1 ? std::string(format::kSignatureFile) : fmt::format("signature {}", i);
    judge_bundle(bundles[i], by, subject, evidence);
  }
  keep_few(evidence.problems);
  if (bundles.empty() && !evidence.unread) {
    evidence.problems.push_back(
        {ErrorCode::untrusted, std::string(format::kSignatureFile), "the organ is not signed"});
  }
  return evidence;
}

std::string describe_rule(const Policy& policy, std::string_view name, const PolicyRule& rule,
                          const TrustOverride& override) {
  if (override.certificates) {
    const std::string& identity = override.certificates->identity;
    return fmt::format(
        "overridden by --ca-roots: {} must have signed, of {} and whom {} certify as {}",
        rule.threshold, counted(override.keys.size(), "given key"),
        counted(override.certificates->roots.size(), "given root"),
        identity.empty() ? "anyone" : quote(identity));
  }
  if (!override.keys.empty()) {
    return fmt::format("overridden by --key: {} of {} must have signed", rule.threshold,
                       counted(override.keys.size(), "given key"));
  }
  if (!policy.has_rule(name)) {
    return fmt::format("no rule matches {}: enforce without keys", quote(name));
  }
  const PolicyMode written = policy.rule_for(name).mode;
  if (written != rule.mode) {
    return fmt::format(
        "rule {}: {} of {} must have signed; its {} is not taken on the organ's "
        "own word for its name",
        quote(rule.pattern), rule.threshold, counted(rule.keys.size(), "key"), to_string(written));
  }
  return fmt::format("rule {}: {}, {} of {} must have signed", quote(rule.pattern),
                     to_string(rule.mode), rule.threshold, counted(rule.keys.size(), "key"));
}

std::string describe_shortfall(const PolicyRule& rule, const TrustOverride& override,
                               std::size_t good, const std::vector<std::string>& late) {
  if (override.certificates) {
    return fmt::format("signed by {} for whom a given key or root vouches, {} needed", good,
                       rule.threshold);
  }
  if (rule.keys.empty()) return "no key is trusted for it, so no signature counts";
  return fmt::format("signed by {} of the {}, {} needed{}", good,
                     counted(rule.keys.size(), "trusted key"), rule.threshold,
                     late.empty() ? "" : ": " + late.front());
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
  verdict.keys = evidence.signers.keys();
  verdict.certificates = evidence.signers.certificates();
  for (const std::string& signer : evidence.signers.describe()) {
    verdict.established.push_back(fmt::format("organ.json and its {} are signed by {}",
                                              counted(organ.manifest().files.size(), "file"),
                                              signer));
  }
  say_ends(rule, verdict.keys, now, verdict);
  for (const auto& notes : {evidence.signers.repeated(), evidence.notes}) {
    verdict.warnings.insert(verdict.warnings.end(), notes.begin(), notes.end());
  }
  if (override.legacy) {
    verdict.policy.push_back("bundles of model_signing 0.2 count, by --legacy-signatures");
  }
  const std::size_t persons = evidence.signers.persons();
  const bool asked = !rule.keys.empty() || override.certificates;
  const bool satisfied = asked && persons >= rule.threshold;
  const bool lenient = override.allow_unsigned || rule.mode == PolicyMode::warn;
  std::vector<Finding> problems = evidence.problems;
  if (!satisfied) {
    verdict.not_established.push_back("who made it");
    if (!evidence.unread) {
      problems.insert(problems.begin(),
                      {ErrorCode::untrusted, std::string(name),
                       describe_shortfall(rule, override, persons, evidence.late)});
    }
  }
  if (override.allow_unsigned) verdict.policy.push_back("overridden by --allow-unsigned");
  sort_problems(problems, satisfied, lenient, verdict);
  return verdict;
}

}  // namespace organ::registry
