// SPDX-License-Identifier: Apache-2.0
// Compatibility of layers whose maths organ does not know.
#include <charconv>
#include <set>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/checkpoint/checkpoint_config.h"
#include "transplant/internal/judge.h"

namespace organ::transplant {
namespace {

using format::Architecture;

// A signed value of opaque layers as people write it.
std::string opaque_text(const nlohmann::json* value) {
  if (value == nullptr) return "absent";
  if (value->is_string()) {
    const std::string text = value->get<std::string>();
    double real = 0;
    const char* end = text.data() + text.size();
    if (text.starts_with("0x") &&
        std::from_chars(text.data() + 2, end, real, std::chars_format::hex).ptr == end) {
      return fmt::format("{}", real);
    }
  }
  return escape_text(canonical_json(*value), 120);
}

// Says how two objects differ, member by member, at most kMostDifferences times.
constexpr int kMostDifferences = 32;
void compare_members(const nlohmann::json& ours, const nlohmann::json& theirs,
                     std::string_view rule, std::string_view what, std::string_view hint,
                     Judge& judge) {
  std::set<std::string> keys;
  for (const auto& [key, value] : ours.items()) keys.insert(key);
  for (const auto& [key, value] : theirs.items()) keys.insert(key);
  int differences = 0;
  for (const std::string& key : keys) {
    const auto mine = ours.find(key), other = theirs.find(key);
    const nlohmann::json* left = mine == ours.end() ? nullptr : &*mine;
    const nlohmann::json* right = other == theirs.end() ? nullptr : &*other;
    if (left != nullptr && right != nullptr && *left == *right) continue;
    if (++differences > kMostDifferences) return;
    const std::string expected = opaque_text(left), actual = opaque_text(right);
    judge.refuse(Level::D, {std::string(rule),
                            {},
                            expected,
                            actual,
                            fmt::format("{} {} is {} in the organ and {} in the recipient", what,
                                        quote(key), expected, actual),
                            std::string(hint)});
  }
}

constexpr std::string_view kOpaque =
    "organ does not know this family's maths, so everything it can see must agree";
constexpr std::string_view kOlder =
    "the organ was made before organ knew this family's maths, or from a config with other values; "
    "extract it from its donor again";
constexpr std::string_view kCounted =
    "organ does not know this family's maths, so everything it can see must agree; if the organ is "
    "of the time when predictors of further tokens were counted as layers, extract it from its "
    "donor again";

}  // namespace

bool is_opaque(const format::Manifest& organ) {
  return json_of(organ.architecture.layer).contains("maths");
}

std::optional<format::Checkpoint> seen_without_maths(const format::Manifest& organ,
                                                     const format::Checkpoint& recipient) {
  if (!is_opaque(organ)) return std::nullopt;
  try {
    const Architecture& now = recipient.architecture();
    if (now.is_opaque() || now.model_type() != organ.architecture.model_type) return std::nullopt;
    return format::CheckpointConfig::as_opaque(recipient, organ.stack());
  } catch (const Error& error) {
    if (error.code() != ErrorCode::incompatible) throw;
    return std::nullopt;  // the rules say why it does not fit
  }
}

void compare_opaque(const Case& one, Judge& judge) {
  if (fits_at(one, one.position)) return;
  const Json ours = json_of(Architecture::comparable_fields(one.organ.architecture.layer));
  const Json theirs = json_of(fields_of(one, one.position));
  const auto home = one.organ.extraction.first_layer;
  if (one.position != home) {
    judge.refuse(Level::D,
                 {"first_layer",
                  {},
                  std::to_string(home),
                  std::to_string(one.position),
                  fmt::format("the organ was layer {} and may depend on its number", home),
                  fmt::format("--at {} is where it comes from", home)});
  }
  nlohmann::json left = ours, right = theirs;
  for (const char* key : {"config", "tensors", "first_layer"}) {
    left.erase(key);
    right.erase(key);
  }
  const bool longer = left.at("model_layer_count") > right.at("model_layer_count");
  compare_members(left, right, "family", "field", longer ? kCounted : kOpaque, judge);
  compare_members(ours.at("config"), theirs.at("config"), "config", "config value", kOpaque, judge);
  for (std::uint64_t i = 0; i < one.count && one.position == home; ++i) {
    compare_members(ours.at("tensors").at(i), theirs.at("tensors").at(i), "tensors",
                    fmt::format("layer {}: tensor", one.position + i), kOpaque, judge);
  }
  check(judge.report().level != Level::A, "signatures differ and no field does");
}

bool check_kinds(const Case& one, Judge& judge) {
  const bool ours = is_opaque(one.organ), theirs = one.architecture.is_opaque();
  if (ours == theirs) return true;
  const auto name = [](bool opaque) { return opaque ? "not known" : "known"; };
  judge.refuse(Level::D, {"family",
                          {},
                          escape_text(one.organ.architecture.model_type),
                          escape_text(one.architecture.model_type()),
                          fmt::format("the maths of the organ's layers is {} to organ, that of the "
                                      "recipient's is {}",
                                      name(ours), name(theirs)),
                          std::string(ours ? kOlder : kOpaque)});
  return false;
}

}  // namespace organ::transplant
