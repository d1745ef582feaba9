// SPDX-License-Identifier: Apache-2.0
// May this organ go into this recipient at this position? Answered from organ.json, the
// recipient's config and its safetensors headers; no weight of the organ is read
// (schemas/transplant.md).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "format/checkpoint/checkpoint.h"
#include "format/manifest/manifest.h"

#pragma GCC visibility push(default)

namespace organ::transplant {

enum class Level {
  A,  // identical: a plain Hugging Face folder comes out
  B,  // same interface, other inner sizes or parameters: no one config can express the result
  C,  // bridgeable: another hidden size, norm placement or position scheme
  D,  // refused: unknown family, missing shared state, out of range
};
std::string_view to_string(Level level);

enum class Severity { refusal, warning, note };
std::string_view to_string(Severity severity);

struct CompatibilityFinding {
  std::string rule;  // id of the rule, stable: hidden_size, range, tokenizer, …
  Severity severity = Severity::note;
  std::string expected;  // what the organ has or needs
  std::string actual;    // what the recipient has
  std::string message;
  std::string hint;
};

struct CompatibilityReport {
  Level level = Level::A;
  std::uint64_t position = 0;
  std::uint64_t layer_count = 0;                 // of the organ
  std::vector<CompatibilityFinding> findings;    // refusals first
  std::vector<std::uint64_t> fitting_positions;  // where the architecture fits, ascending

  bool installable() const {
    return level == Level::A &&
           (findings.empty() || findings.front().severity != Severity::refusal);
  }
};

// The verdict is a value; only a damaged recipient throws (corrupt, io), and cancelled. For lineage
// the digests of the recipient's layers are computed where its architecture matches the donor's.
CompatibilityReport check_compatibility(const format::Manifest& organ,
                                        const format::Checkpoint& recipient, std::uint64_t position,
                                        const Work& work = {});

// Throws incompatible with every refusal unless the report allows an installation.
void require_installable(const CompatibilityReport& report, std::string_view organ,
                         std::string_view recipient);

}  // namespace organ::transplant

#pragma GCC visibility pop
