// SPDX-License-Identifier: Apache-2.0
#include "format/architecture/layer_range.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "format/base/fail.h"

namespace organ::format {
namespace {

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

}  // namespace

LayerRange LayerRange::parse(std::string_view text, std::uint64_t layer_count) {
  const std::size_t colon = text.find(':');
  const auto first = parse_number(text.substr(0, colon));
  const auto end = colon == text.npos ? std::nullopt : parse_number(text.substr(colon + 1));
  if (!first || !end || *first >= *end || *end > layer_count) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("layers {}: expected A:B with A < B <= {}", quote(text), layer_count),
                fmt::format("the model has layers 0 to {}; B itself is not taken",
                            layer_count == 0 ? 0 : layer_count - 1));
  }
  return {*first, *end - *first};
}

LayerRange LayerRange::middle_third(std::uint64_t layer_count) {
  constexpr std::uint64_t kCount = 3;
  if (layer_count < kCount) {
    fail(ErrorCode::invalid_argument, "the middle third needs 3 layers, the model has {}",
         layer_count);
  }
  return {std::min(layer_count / 3, layer_count - kCount), kCount};
}

}  // namespace organ::format
