// SPDX-License-Identifier: Apache-2.0
// Input: organ-ci.json.
#include "cli/ci/ci_policy.h"
#include "tests/fuzz/target.h"

namespace organ::cli {
namespace {

using fuzz::demand;

void run(std::string_view text) {
  fuzz::expect({ErrorCode::corrupt, ErrorCode::unsupported_version}, [&] {
    const CiPolicy policy = CiPolicy::parse(text, "organ-ci.json");
    demand(policy.recipients.size() <= kMostRecipients && policy.licenses.size() <= kMostLicenses &&
               policy.evaluations.size() <= kMostDemands,
           "the limits hold");
    demand(policy.mode(CiCheck::structure) >= CiMode::enforce, "the structure always counts");
    demand(policy.max_overlap >= 0 && policy.max_overlap <= 1, "a share is one");
    for (const CiRecipient& recipient : policy.recipients) {
      demand(!recipient.model.empty(), "a recipient has a name");
    }
  });
}

}  // namespace
}  // namespace organ::cli

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  organ::cli::run(organ::fuzz::text_of(data, size));
  return 0;
}
