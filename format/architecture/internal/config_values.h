// SPDX-License-Identifier: Apache-2.0
// Numbers of a config.json within their limits. Every failure but refuse_value() is corrupt and
// names the key: a key that is absent or null where none is said for it, another type, a value out
// of range.
#pragma once

#include <cstdint>
#include <string_view>

#include "format/base/json.h"

namespace organ::format::internal {

// The most of each that is read. kMostInner also bounds heads x head_dim, kMostLayers the layers of
// an opaque model.
inline constexpr std::uint64_t kMostWidth = std::uint64_t{1} << 20;  // hidden, heads, head_dim
inline constexpr std::uint64_t kMostInner = std::uint64_t{1} << 24;
inline constexpr std::uint64_t kMostLayers = 100'000;
inline constexpr std::uint64_t kMostVocabulary = std::uint64_t{1} << 26;
inline constexpr std::uint64_t kMostPositions = std::uint64_t{1} << 32;

// Throws incompatible: the value changes the function and is not implemented. The key must be
// there; `expected` is words for people.
[[noreturn]] void refuse_value(const JsonObject& config, std::string_view key,
                               std::string_view expected);

// 1 to max.
std::uint64_t size(const JsonObject& config, std::string_view key, std::uint64_t max);
// `absent` when the key is "", absent or null; that is given back as it is, 0 too.
std::uint64_t size_or(const JsonObject& config, std::string_view key, std::uint64_t max,
                      std::uint64_t absent);
// Finite and above 0; positive_or() gives `absent` back for a key that is absent or null.
double positive(const JsonObject& config, std::string_view key);
double positive_or(const JsonObject& config, std::string_view key, double absent);
// Of keys that transformers treats as not given when they are null, absent or 0; else positive().
double given_or(const JsonObject& config, std::string_view key, double absent);

}  // namespace organ::format::internal
