// SPDX-License-Identifier: Apache-2.0
#include "transplant/fitting.h"

#include <algorithm>
#include <set>
#include <string>

#include "format/base/fail.h"

namespace organ::transplant {
namespace {

using format::Architecture;

// Two runs of layers with equal patterns have equal fields.
std::string pattern_of(const Architecture& architecture, std::uint64_t layer) {
  if (architecture.is_opaque()) return std::to_string(layer) + " ";
  return fmt::format("{} {} ", architecture.attention_type(layer),
                     architecture.attention_scale(layer));
}

}  // namespace

std::vector<Digest> fitting_signatures(const format::Checkpoint& recipient) {
  const Architecture& architecture = recipient.architecture();
  const std::uint64_t layers = architecture.layer_count();
  std::vector<Digest> signatures;
  std::set<std::string> seen;
  for (std::uint64_t first = 0; first < layers; ++first) {
    std::string pattern;
    for (std::uint64_t end = first + 1; end <= layers; ++end) {
      pattern += pattern_of(architecture, end - 1);
      if (!seen.insert(pattern).second) continue;
      signatures.push_back(Architecture::signature(architecture.layer_fields(first, end - first)));
    }
  }
  std::ranges::sort(signatures);
  signatures.erase(std::unique(signatures.begin(), signatures.end()), signatures.end());
  return signatures;
}

}  // namespace organ::transplant
