// SPDX-License-Identifier: Apache-2.0
// How `verify` and `show` say what is stated of an organ, and by whom.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "cli/output/evaluation_demand.h"
#include "registry/trust/policy.h"

namespace organ::cli {

// "evaluation by sha256:…, trusted", one line each.
std::vector<std::string> attestation_lines(
    const std::vector<registry::JudgedAttestation>& attestations);

// type and signer (null where it cannot be read), trusted, problem (null where it is trusted), and
// the predicate.
nlohmann::json to_json(const std::vector<registry::JudgedAttestation>& attestations);

// One as it lies in a file, whoever signed it: nothing of it is checked.
std::string to_text(const format::Attestation& statement);
nlohmann::json to_json(const format::Attestation& statement);

// The figures of each that is trusted.
std::vector<StatedFigures> attested_figures(
    const std::vector<registry::JudgedAttestation>& attestations);

}  // namespace organ::cli
