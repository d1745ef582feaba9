// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/amounts.h"

#include <iterator>

#include <fmt/core.h>

#include "format/base/fail.h"

namespace organ::cli {

std::string size_text(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"kB", "MB", "GB", "TB"};
  if (bytes < 1000) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string perplexity_text(double perplexity) {
  return perplexity < 1e9 ? fmt::format("{:.4f}", perplexity) : fmt::format("{:.4g}", perplexity);
}

std::string clock_text(std::uint64_t seconds) {
  const std::uint64_t minutes = seconds / 60;
  if (minutes < 60) return fmt::format("{}:{:02}", minutes, seconds % 60);
  return fmt::format("{}:{:02}:{:02}", minutes / 60, minutes % 60, seconds % 60);
}

std::string matrix_rates(double fp32, double bf16, std::uint64_t threads) {
  // A processor without bf16 makes less than one.
  return fmt::format("matrices   {} GFLOP/s in fp32, {} in bf16 on {}", rate_text(fp32),
                     rate_text(bf16), counted(threads, "thread"));
}

}  // namespace organ::cli
