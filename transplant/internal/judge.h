// SPDX-License-Identifier: Apache-2.0
// What the compatibility rules compare and where they put their findings.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "format/checkpoint/checkpoint.h"
#include "format/manifest/manifest.h"
#include "transplant/compatibility.h"

namespace organ::transplant {

// One question: this organ, into this recipient, at this position. Borrows everything.
struct Case {
  const format::Manifest& organ;
  const format::Checkpoint& recipient;
  const format::Architecture& architecture;  // of the recipient
  std::uint64_t position;
  std::uint64_t count;
  Digest signature;                          // of the organ's layers in their comparable form
  std::optional<Digest> shared_digest = {};  // what the organ calls the table both share
};

// Collects findings and the worst level of the refusals. Not thread-safe; over after finish().
class Judge {
 public:
  explicit Judge(std::uint64_t position, std::uint64_t count) {
    report_.position = position;
    report_.layer_count = count;
  }

  void refuse(Level level, CompatibilityFinding finding) {
    report_.level = std::max(report_.level, level);
    finding.severity = Severity::refusal;
    report_.findings.push_back(std::move(finding));
  }
  void warn(CompatibilityFinding finding) { add(Severity::warning, std::move(finding)); }
  void note(CompatibilityFinding finding) { add(Severity::note, std::move(finding)); }

  CompatibilityReport finish() {
    std::stable_sort(report_.findings.begin(), report_.findings.end(),
                     [](const auto& a, const auto& b) { return a.severity < b.severity; });
    return std::move(report_);
  }
  CompatibilityReport& report() { return report_; }

 private:
  void add(Severity severity, CompatibilityFinding finding) {
    finding.severity = severity;
    report_.findings.push_back(std::move(finding));
  }
  CompatibilityReport report_;
};

// The recipient's layers from `first` on as they are compared: Architecture::layer_fields, with the
// organ's digest of a shared table when both have the same values.
JsonText fields_of(const Case& one, std::uint64_t first);
// They are alike in all that is signed. Throws invalid_argument for layers that the recipient
// lacks, as fields_of.
bool fits_at(const Case& one, std::uint64_t first);

// Notes and warnings; refuses only what a plain checkpoint cannot hold (a bridge).
// compare_lineage reads the recipient's layers where they may be the donor's; throws io, corrupt,
// cancelled.
void compare_lineage(const Case& one, const Work& work, Judge& judge);
void compare_tokenizer(const Case& one, Judge& judge);
void compare_training(const Case& one, Judge& judge);
void compare_other_parts(const Case& one, Judge& judge);

// The recipient as an organ saw it that did not know its family's maths, or a value of its config,
// for what such an organ made; nothing for any other. Shares its open files.
std::optional<format::Checkpoint> seen_without_maths(const format::Manifest& organ,
                                                     const format::Checkpoint& recipient);

// The organ's layers are of a family whose maths organ does not know.
bool is_opaque(const format::Manifest& organ);

// Refuses everything but layers that are alike in all that can be seen, their place in the model
// included. Both organ and recipient are opaque.
void compare_opaque(const Case& one, Judge& judge);

// Refuses what cannot be compared: the maths of one is known and that of the other is not.
bool check_kinds(const Case& one, Judge& judge);

}  // namespace organ::transplant
