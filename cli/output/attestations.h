// SPDX-License-Identifier: Apache-2.0
// How `verify` and `show` say what is stated of an organ, and by whom.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "format/manifest/evaluation.h"
#include "registry/trust/policy.h"

namespace organ::cli {

// "evaluation by sha256:…, trusted", one line each.
std::vector<std::string> attestation_lines(
    const std::vector<registry::JudgedAttestation>& attestations);

// type and signer (null where it cannot be read), trusted, problem (null where it is trusted), and
// the predicate.
nlohmann::json to_json(const std::vector<registry::JudgedAttestation>& attestations);

// The figures of those that are trusted.
std::vector<format::Evaluation> attested_figures(
    const std::vector<registry::JudgedAttestation>& attestations);

}  // namespace organ::cli
