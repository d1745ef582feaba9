// SPDX-License-Identifier: Apache-2.0
// What a pipeline demands of an organ: organ-ci.json (schemas/ci-policy.v1.schema.json). Not the
// policy of a registry, which says whose signatures count; that is one of the checks here.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/output/evaluation_demand.h"

namespace organ::cli {

// The most that a policy file may hold: bytes, recipients, licences.
inline constexpr std::uint64_t kCiPolicyLimit = std::uint64_t{1} << 20;  // bytes
inline constexpr std::size_t kMostRecipients = 64, kMostLicenses = 256;

// In the order in which they are run and shown. Their names are those of the file's "checks".
enum class CiCheck {
  structure,      // organ.json and what lies beside it
  digests,        // every byte
  finite,         // no NaN, no infinity
  signature,      // a key that counts signed exactly this
  policy,         // the registry's rule for the name, withdrawals
  license,        // is one of those named
  evaluation,     // recorded figures within bounds
  memorisation,   // figures are of data that training did not see
  compatibility,  // fits each recipient
};
inline constexpr std::size_t kCiChecks = 9;
std::string_view to_string(CiCheck check);

// From the mildest to the strictest; structure is never below enforce.
enum class CiMode {
  off,       // not run
  warn,      // a failure is told
  enforce,   // a failure fails the run
  required,  // so does a check that finds nothing to judge
};
std::string_view to_string(CiMode mode);

// A model that the organ must fit. parse() leaves the path as it is written; `organ ci` takes that
// of a policy file as relative to that file.
struct CiRecipient {
  std::string model;                           // a checkpoint folder
  std::optional<std::uint64_t> position = {};  // nullopt: where the organ comes from
};

// A plain value; as it is made it is what a pipeline demands that has no file.
struct CiPolicy {
  // By CiCheck. What needs nothing but the organ is required; where somebody must have said what is
  // wanted, the check is enforced as soon as somebody has.
  std::array<CiMode, kCiChecks> modes = {CiMode::required, CiMode::required, CiMode::required,
                                         CiMode::required, CiMode::required, CiMode::enforce,
                                         CiMode::enforce,  CiMode::enforce,  CiMode::enforce};
  std::vector<std::string> licenses;  // SPDX identifiers; empty: any, and none
  std::vector<CiRecipient> recipients;
  std::vector<EvaluationDemand> evaluations;
  // The share, 0 to 1, of the held-out data's 13-grams that training may have seen.
  double max_overlap = 0.1;  // as the training probe has it (schemas/training.md)
  // Whether figures count by which the published weights were chosen (--patience).
  bool allow_chosen_weights = true;

  CiMode mode(CiCheck check) const { return modes[static_cast<std::size_t>(check)]; }
  CiMode& mode(CiCheck check) { return modes[static_cast<std::size_t>(check)]; }

  // Throws corrupt naming `subject` for anything that is not as the schema says, unknown fields
  // included, and unsupported_version.
  // What the text leaves out or has as null stays as it is made here. Reads no other file.
  static CiPolicy parse(std::string_view text, std::string_view subject);
};

}  // namespace organ::cli
