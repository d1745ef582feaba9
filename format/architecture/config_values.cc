// SPDX-License-Identifier: Apache-2.0
#include "format/architecture/internal/config_values.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"

namespace organ::format::internal {

void refuse_value(const JsonObject& config, std::string_view key, std::string_view expected) {
  throw Error(ErrorCode::incompatible,
              fmt::format("{}: field {}: {} is not supported, expected {}", config.path(),
                          quote(key), escape_text(shown_json(config.at(key)), 80), expected));
}

std::uint64_t size(const JsonObject& config, std::string_view key, std::uint64_t max) {
  const std::uint64_t value = config.unsigned_integer(key, max);
  if (value == 0) config.fail_field(key, "expected at least 1, got 0");
  return value;
}

std::uint64_t size_or(const JsonObject& config, std::string_view key, std::uint64_t max,
                      std::uint64_t absent) {
  return key.empty() || config.is_null(key) ? absent : size(config, key, max);
}

double positive(const JsonObject& config, std::string_view key) {
  const double value = config.real(key);
  if (!std::isfinite(value) || value <= 0) {
    config.fail_field(key, fmt::format("expected a finite number above 0, got {}", value));
  }
  return value;
}

double positive_or(const JsonObject& config, std::string_view key, double absent) {
  return config.is_null(key) ? absent : positive(config, key);
}

double given_or(const JsonObject& config, std::string_view key, double absent) {
  if (config.is_null(key) || config.at(key) == 0) return absent;
  return positive(config, key);
}

}  // namespace organ::format::internal
