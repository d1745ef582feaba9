// SPDX-License-Identifier: Apache-2.0
#include "format/manifest/evaluation.h"

#include <fmt/format.h>

namespace organ::format {

std::string lead_in_text(const std::optional<std::vector<std::uint64_t>>& lead_in) {
  if (!lead_in) return "as-is";
  if (lead_in->empty()) return "none";
  return fmt::format("{}", fmt::join(*lead_in, "+"));
}

std::string document_split_text(const EvaluationReading& reading) {
  return reading.document_split.value_or("as-is");
}

std::string label_text(const EvaluationConditions& conditions) {
  std::string text = fmt::format("lead={}", lead_in_text(conditions.lead_in));
  if (const auto& reading = conditions.reading) {
    text += fmt::format(",docs={}", document_split_text(*reading));
    if (reading->padding_id) text += fmt::format(",pad={}", *reading->padding_id);
    if (reading->draw_seed) text += fmt::format(",seed={}", *reading->draw_seed);
    if (reading->first_windows) text += fmt::format(",windows={}", *reading->first_windows);
  }
  text += fmt::format(",{},{}", conditions.precision, conditions.device);
  if (conditions.chose_weights) text += ",chose-weights";
  return text;
}

}  // namespace organ::format
