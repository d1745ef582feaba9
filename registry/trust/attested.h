// SPDX-License-Identifier: Apache-2.0
// Whose word counts about an organ: its attestations (format/signature/attestation.h), judged by
// the rule for its name.
#pragma once

#include <string>
#include <vector>

#include "format/organ/organ_source.h"
#include "registry/trust/policy.h"

#pragma GCC visibility push(default)

namespace organ::registry {

// Judges those that came with `organ` and those of the override, in this order. One is trusted when
// a key of the override's attesters, without them of the rule that applies (evaluate_policy),
// signed it, before the end of that key, and its subject is this organ: NAME:VERSION and one of
// `identities`. One such key is enough, whatever the rule's threshold: that is for who publishes. A
// certificate never counts here. Damage and strangers are told in `problem`, up to a number, never
// thrown; first come those that the medium did not give.
std::vector<JudgedAttestation> judge_attestations(const Policy& policy,
                                                  const format::OrganSource& organ,
                                                  const std::vector<Digest>& identities,
                                                  const TrustOverride& override, Naming naming,
                                                  const SignatureAnchors& anchors = {});

}  // namespace organ::registry

#pragma GCC visibility pop
