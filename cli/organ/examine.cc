// SPDX-License-Identifier: Apache-2.0
#include "cli/organ/examine.h"

#include <algorithm>
#include <utility>

namespace organ::cli {
namespace {

using registry::VerifyReport;

VerifyReport examine_folder(const OrganArgument& organ, const registry::TrustOverride& trust,
                            const Work& work) {
  VerifyReport::Item item{.subject = organ.text, .digest = {}, .findings = {}, .trust = {}};
  format::FiniteCheck finite;
  item.findings = format::verify_contents(*organ.organ, {}, work, finite);
  item.not_finite = std::move(finite.found);
  VerifyReport report;
  report.bytes = finite.read;
  item.trust = organ.judge_origin(trust);
  if (item.findings.empty()) {
    item.trust.established.insert(item.trust.established.begin(),
                                  "every byte is what organ.json says");
  }
  std::size_t missing = 0;
  for (const format::FileEntry& file : organ.organ->manifest().files) {
    const bool is_missing = std::ranges::any_of(item.findings, [&](const format::Finding& finding) {
      return finding.code == ErrorCode::not_found && finding.subject == file.path;
    });
    missing += is_missing ? 1 : 0;
  }
  if (missing == organ.organ->manifest().files.size()) {
    report.notes.emplace_back(
        "only its manifest is here, for organ check; no contents were verified");
  }
  report.items.push_back(std::move(item));
  report.versions = 1;
  return report;
}

}  // namespace

VerifyReport examine(const OrganArgument& organ, const registry::TrustOverride& trust,
                     const Work& work) {
  return organ.version ? organ.registry->verify(*organ.version, trust, work)
                       : examine_folder(organ, trust, work);
}

}  // namespace organ::cli
