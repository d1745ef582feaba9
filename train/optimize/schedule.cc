// SPDX-License-Identifier: Apache-2.0
#include "train/optimize/schedule.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numbers>
#include <utility>

namespace organ::train {
namespace {

constexpr std::pair<ScheduleKind, std::string_view> kNames[] = {
    {ScheduleKind::cosine, "cosine"},
    {ScheduleKind::linear, "linear"},
    {ScheduleKind::constant, "constant"},
};

}  // namespace

std::string_view to_string(ScheduleKind kind) {
  return std::find_if(std::begin(kNames), std::end(kNames),
                      [&](const auto& entry) { return entry.first == kind; })
      ->second;
}

std::optional<ScheduleKind> parse_schedule(std::string_view name) {
  for (const auto& [kind, text] : kNames) {
    if (text == name) return kind;
  }
  return std::nullopt;
}

double Schedule::at(std::uint64_t step) const {
  if (step < warmup_steps) {
    return rate * static_cast<double>(step) / static_cast<double>(warmup_steps);
  }
  if (kind == ScheduleKind::constant) return rate;
  const auto rest = static_cast<double>(std::max<std::uint64_t>(1, total_steps - warmup_steps));
  const double done = std::min(1.0, static_cast<double>(step - warmup_steps) / rest);
  if (kind == ScheduleKind::linear) return rate * (1 - done);
  return rate * 0.5 * (1 + std::cos(std::numbers::pi * done));
}

std::uint64_t warmup_steps(double share, std::uint64_t total_steps) {
  return static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(total_steps)));
}

}  // namespace organ::train
