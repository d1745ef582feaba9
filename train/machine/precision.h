// SPDX-License-Identifier: Apache-2.0
// The number format of weights and activations while a model runs.
#pragma once

#include <optional>
#include <string_view>

#pragma GCC visibility push(default)

namespace organ::train {

// bf16: weights and activations in bfloat16; residual stream, gradients and optimiser in fp32.
// fp32: all of them in fp32.
enum class Precision { fp32, bf16 };

// Their names, and back; nullopt for anything else.
constexpr std::string_view to_string(Precision precision) {
  return precision == Precision::fp32 ? "fp32" : "bf16";
}

constexpr std::optional<Precision> parse_precision(std::string_view name) {
  if (name == "fp32") return Precision::fp32;
  if (name == "bf16") return Precision::bf16;
  return std::nullopt;
}

}  // namespace organ::train

#pragma GCC visibility pop
