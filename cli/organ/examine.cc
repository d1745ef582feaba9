// SPDX-License-Identifier: Apache-2.0
#include "cli/organ/examine.h"

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
  item.trust = organ.judge_origin(trust);
  if (item.findings.empty()) {
    item.trust.established.insert(item.trust.established.begin(),
                                  "every byte is what organ.json says");
  }
  VerifyReport report;
  for (const format::FileEntry& file : organ.organ->manifest().files) report.bytes += file.size;
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
