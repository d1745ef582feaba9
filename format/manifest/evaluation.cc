// SPDX-License-Identifier: Apache-2.0
#include "format/manifest/evaluation.h"

#include <fmt/format.h>

namespace organ::format {

std::string lead_in_text(const std::optional<std::vector<std::uint64_t>>& lead_in) {
  if (!lead_in) return "as-is";
  if (lead_in->empty()) return "none";
  return fmt::format("{}", fmt::join(*lead_in, "+"));
}

std::string label_text(const EvaluationConditions& conditions) {
  return fmt::format("lead={},{},{}{}", lead_in_text(conditions.lead_in), conditions.precision,
                     conditions.device, conditions.chose_weights ? ",chose-weights" : "");
}

}  // namespace organ::format
