// SPDX-License-Identifier: Apache-2.0
// Input: policy.json. Keys are PEM texts or name files of keys/.
#include <filesystem>

#include "format/base/path_status.h"
#include "registry/trust/policy.h"
#include "tests/fuzz/target.h"
#include "tests/support/paths.h"

namespace organ::registry {
namespace {

using fuzz::demand;

const std::filesystem::path kKeys = test::kFuzzKeys;

void check_rule(const Policy& policy, const PolicyRule& rule) {
  demand(rule.keys.size() <= 64, "the limit holds");
  demand(
      rule.mode == PolicyMode::off || (rule.threshold >= 1 && rule.threshold <= rule.keys.size()),
      "a rule can be satisfied, and not by nobody");
  for (std::size_t i = 0; i < rule.keys.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      demand(rule.keys[i].id() != rule.keys[j].id(), "a key counts once");
    }
  }
  if (rule.pattern.find('*') == std::string::npos) {
    demand(&policy.rule_for(rule.pattern) == &rule, "a rule is found by its name");
  }
}

bool stored(const Policy& policy) {
  for (const PolicyRule& rule : policy.rules()) {
    for (const format::PublicKey& key : rule.keys) {
      if (!is_there(kKeys / (key.id().hex() + ".pem"))) return false;
    }
  }
  return true;
}

void run(std::string_view text) {
  fuzz::expect({ErrorCode::corrupt, ErrorCode::unsupported_version}, [&] {
    const Policy policy = Policy::parse(text, "policy.json", kKeys);
    for (const PolicyRule& rule : policy.rules()) check_rule(policy, rule);
    const std::string written = policy.to_text();
    if (!stored(policy)) return;
    const Policy again = Policy::parse(written, "again", kKeys);
    demand(again.to_text() == written, "its text is a fixed point");
    demand(again.rules().size() == policy.rules().size(), "it has as many rules");
    for (std::size_t i = 0; i < policy.rules().size(); ++i) {
      const PolicyRule &a = policy.rules()[i], &b = again.rules()[i];
      demand(a.pattern == b.pattern && a.mode == b.mode && a.threshold == b.threshold &&
                 a.keys.size() == b.keys.size(),
             "a rule is read again as it was written");
    }
  });
}

}  // namespace
}  // namespace organ::registry

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  organ::registry::run(organ::fuzz::text_of(data, size));
  return 0;
}
