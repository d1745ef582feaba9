// SPDX-License-Identifier: Apache-2.0
// The learning rate of each step. Formulas as in transformers' get_*_schedule_with_warmup, so that
// runs can be compared step by step.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#pragma GCC visibility push(default)

namespace organ::train {

// How the rate goes on behind the warm-up. parse_schedule knows the names that to_string writes.
enum class ScheduleKind { cosine, linear, constant };
std::string_view to_string(ScheduleKind kind);
std::optional<ScheduleKind> parse_schedule(std::string_view name);

// rate * t / W while t < W, then by kind: cosine rate * (1 + cos(pi * (t - W) / (T - W))) / 2,
// linear rate * (T - t) / (T - W), constant rate. Step 0 of a warm-up runs at rate 0.
struct Schedule {
  ScheduleKind kind = ScheduleKind::cosine;
  double rate = 1e-4;
  std::uint64_t warmup_steps = 0;  // W
  std::uint64_t total_steps = 0;   // T

  // The rate of the step that follows `step` done ones. Beyond T cosine and linear stay at 0.
  double at(std::uint64_t step) const;
};

// ceil(share * total_steps), as transformers' warmup_ratio.
std::uint64_t warmup_steps(double share, std::uint64_t total_steps);

}  // namespace organ::train

#pragma GCC visibility pop
