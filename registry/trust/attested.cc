// SPDX-License-Identifier: Apache-2.0
#include "registry/trust/attested.h"

#include <algorithm>
#include <utility>

#include "format/base/fail.h"
#include "registry/trust/internal/applicable.h"

namespace organ::registry {
namespace {

constexpr char kSubject[] = "attestation";
constexpr std::size_t kMostUntrusted = 64;  // of those that do not count: those told

// What it says, believed or not; else why nobody can read it.
void read(const std::string& bundle, JudgedAttestation& out) {
  try {
    out.statement = format::read_attestation(bundle, kSubject);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal) throw;
    out.problem = error.message();
  }
}

struct Judge {
  const PolicyRule& rule;
  const format::SignerTrust& trust;
  std::string organ;
  const std::vector<Digest>& identities;
  const SignatureAnchors& anchors;
  std::uint64_t now;

  // Why it does not count; empty: it does.
  std::string objection(const std::string& bundle) const {
    try {
      const auto statement = format::verify_attestation(bundle, trust, kSubject);
      if (std::ranges::find(identities, statement.identity) == identities.end() ||
          statement.organ != organ) {
        return fmt::format("it is about {}, {}", quote(statement.organ),
                           statement.identity.to_string());
      }
      return why_too_late(rule, statement.key, bundle, anchors, now);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::internal) throw;
      return error.message();
    }
  }
};

// What could not be read hides nothing that lies or was given beside it.
std::vector<std::string> bundles_of(const format::OrganSource& organ,
                                    std::vector<JudgedAttestation>& judged) {
  std::vector<std::string> bundles;
  std::vector<format::Finding> unread;
  try {
    bundles = organ.readable_attestations(unread);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::io) throw;
    unread.push_back(format::Finding::of(kSubject, error));
  }
  for (format::Finding& why : unread) {
    if (why.code != ErrorCode::io) continue;  // damage is the registry's to tell
    judged.push_back({.problem = std::move(why.message), .unread = true});
  }
  return bundles;
}

}  // namespace

std::vector<JudgedAttestation> judge_attestations(const Policy& policy,
                                                  const format::OrganSource& organ,
                                                  const std::vector<Digest>& identities,
                                                  const TrustOverride& override, Naming naming,
                                                  const SignatureAnchors& anchors) {
  const format::Manifest& manifest = organ.manifest();
  const PolicyRule rule = applicable(policy, manifest.name, override, naming);
  const auto now = static_cast<std::uint64_t>(format::clock_seconds());
  const format::SignerTrust trust{override.attesters.empty() ? rule.keys : override.attesters};
  const Judge by{rule, trust, manifest.name + ":" + manifest.version, identities, anchors, now};
  std::vector<JudgedAttestation> judged;
  std::vector<std::string> bundles = bundles_of(organ, judged);
  bundles.insert(bundles.end(), override.attestations.begin(), override.attestations.end());
  std::size_t untrusted = 0;
  for (const std::string& bundle : bundles) {
    JudgedAttestation one;
    read(bundle, one);
    if (one.statement) one.problem = by.objection(bundle);
    one.trusted = one.problem.empty();
    if (!one.trusted && ++untrusted > kMostUntrusted) continue;
    judged.push_back(std::move(one));
  }
  if (untrusted > kMostUntrusted) {
    judged.push_back(
        {.problem = fmt::format("{} further ones count for nothing", untrusted - kMostUntrusted)});
  }
  return judged;
}

}  // namespace organ::registry
