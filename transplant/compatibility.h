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

// How well the layers go together, the best first. A report has the worst level that a refusal of
// its gave, and A without one.
enum class Level {
  A,  // identical: a plain Hugging Face folder comes out
  B,  // same interface, other inner sizes or parameters: no one config can express the result
  C,  // bridgeable: another hidden size, norm placement or position scheme
  D,  // refused: unknown family, missing shared state, out of range
};
std::string_view to_string(Level level);

// Refusals alone decide. A warning says why the organ may do worse than its figures or what an
// installation changes beside the layers, a note what somebody may want to know.
enum class Severity { refusal, warning, note };
std::string_view to_string(Severity severity);

// One thing that was looked at. `rule` is for programs, the rest for people; `expected` and
// `actual` are "" where the rule compares no two values, `hint` where there is nothing to do.
struct CompatibilityFinding {
  std::string rule;  // id of the rule, stable: hidden_size, range, tokenizer, …
  Severity severity = Severity::note;
  std::string expected;  // what the organ has or needs
  std::string actual;    // what the recipient has
  std::string message;
  std::string hint;
};

// The whole verdict: after a refusal the other rules are asked too, but for those that it leaves
// nothing to compare (an unknown family, maths known of one side alone, a position out of range).
struct CompatibilityReport {
  Level level = Level::A;
  std::uint64_t position = 0;     // that was asked about: the first layer replaced, counted from 0
  std::uint64_t layer_count = 0;  // of the organ
  // Refusals, then warnings, then notes; within each in the order of the rules.
  std::vector<CompatibilityFinding> findings;
  // Where the architecture fits, ascending, whatever `position` is; element types, parts beside the
  // layers and tokenizers are not asked. Empty where it fits nowhere.
  std::vector<std::uint64_t> fitting_positions;

  // Whether install_organ() takes it, as far as the two models decide; trust is another question.
  bool installable() const {
    return level == Level::A &&
           (findings.empty() || findings.front().severity != Severity::refusal);
  }
};

// The verdict is a value; only a damaged recipient throws (corrupt, io), and cancelled. For lineage
// the digests of the recipient's layers are computed where its architecture matches the donor's: so
// many bytes of the recipient are read then, a phase of `work`. A position out of range is a
// refusal. The report borrows nothing.
CompatibilityReport check_compatibility(const format::Manifest& organ,
                                        const format::Checkpoint& recipient, std::uint64_t position,
                                        const Work& work = {});

// Throws incompatible with every refusal unless the report allows an installation; the hint is the
// first that one of them has. `organ` and `recipient` are their names for the message, which quotes
// them.
void require_installable(const CompatibilityReport& report, std::string_view organ,
                         std::string_view recipient);

}  // namespace organ::transplant

#pragma GCC visibility pop
