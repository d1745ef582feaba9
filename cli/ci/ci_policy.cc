// SPDX-License-Identifier: Apache-2.0
#include "cli/ci/ci_policy.h"

#include <algorithm>
#include <iterator>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"

namespace organ::cli {
namespace {

constexpr std::uint64_t kVersion = 1;
constexpr std::string_view kCheckNames[kCiChecks] = {"structure",  "digests",      "finite",
                                                     "signature",  "policy",       "license",
                                                     "evaluation", "memorisation", "compatibility"};
constexpr std::string_view kModeNames[] = {"off", "warn", "enforce", "required"};

template <typename Names>
std::optional<std::size_t> place_in(const Names& names, std::string_view name) {
  const auto* found = std::find(std::begin(names), std::end(names), name);
  if (found == std::end(names)) return std::nullopt;
  return static_cast<std::size_t>(found - std::begin(names));
}

void read_modes(const JsonObject& root, CiPolicy& policy) {
  if (root.is_null("checks")) return;
  const JsonObject checks = root.object("checks");
  for (const auto& [name, value] : checks.value().items()) {
    const auto check = place_in(kCheckNames, name);
    if (!check) checks.fail_field(name, "is no check of organ ci");
    const auto mode = place_in(kModeNames, checks.string(name));
    if (!mode) checks.fail_field(name, "expected off, warn, enforce or required");
    const auto wanted = static_cast<CiMode>(*mode);
    // Without it nothing else can be asked.
    if (*check == static_cast<std::size_t>(CiCheck::structure) && wanted < CiMode::enforce) {
      checks.fail_field(name, "can be enforce or required only");
    }
    policy.modes[*check] = wanted;
  }
}

void require_count(const JsonObject& object, std::string_view key, std::size_t count,
                   std::size_t most) {
  if (count > most) object.fail_field(key, fmt::format("has more than {} elements", most));
}

std::string read_text(const JsonObject& object, std::string_view key) {
  constexpr std::size_t kLongest = 4096;
  std::string text = object.string(key);
  if (text.empty()) object.fail_field(key, "is empty");
  if (text.size() > kLongest || text.find('\0') != std::string::npos) {
    object.fail_field(key, "is longer than 4096 bytes, or has a NUL in it");
  }
  return text;
}

CiRecipient read_recipient(const JsonObject& object) {
  object.allow_only({"at", "model"});
  return {read_text(object, "model"), object.optional_unsigned("at")};
}

void read_memorisation(const JsonObject& root, CiPolicy& policy) {
  if (root.is_null("memorisation")) return;
  const JsonObject object = root.object("memorisation");
  object.allow_only({"allow_chosen_weights", "max_overlap"});
  policy.max_overlap = object.optional_real("max_overlap").value_or(policy.max_overlap);
  if (policy.max_overlap < 0) object.fail_field("max_overlap", "is below 0");
  if (policy.max_overlap > 1) object.fail_field("max_overlap", "is above 1");
  policy.allow_chosen_weights =
      object.optional_boolean("allow_chosen_weights").value_or(policy.allow_chosen_weights);
}

void read_lists(const JsonObject& root, CiPolicy& policy) {
  if (!root.is_null("licenses")) {
    policy.licenses = root.strings("licenses");
    if (policy.licenses.empty()) root.fail_field("licenses", "is empty: it would allow none");
  }
  require_count(root, "licenses", policy.licenses.size(), kMostLicenses);
  if (!root.is_null("recipients")) {
    for (const JsonObject& one : root.objects("recipients")) {
      policy.recipients.push_back(read_recipient(one));
    }
  }
  require_count(root, "recipients", policy.recipients.size(), kMostRecipients);
  if (!root.is_null("evaluations")) {
    for (const JsonObject& one : root.objects("evaluations")) {
      policy.evaluations.push_back(read_demand(one));
    }
  }
  require_count(root, "evaluations", policy.evaluations.size(), kMostDemands);
}

}  // namespace

std::string_view to_string(CiCheck check) { return kCheckNames[static_cast<std::size_t>(check)]; }

std::string_view to_string(CiMode mode) { return kModeNames[static_cast<std::size_t>(mode)]; }

CiPolicy CiPolicy::parse(std::string_view text, std::string_view subject) {
  const Json json = parse_json(
      text, {.bytes = kCiPolicyLimit, .depth = 6, .keys = 10'000, .reals = true}, subject);
  const JsonObject root(json, std::string(subject));
  root.require_schema(kVersion, "it is for a newer organ");
  root.allow_only(
      {"checks", "evaluations", "licenses", "memorisation", "recipients", "schema_version"});
  CiPolicy policy;
  read_modes(root, policy);
  read_lists(root, policy);
  read_memorisation(root, policy);
  return policy;
}

}  // namespace organ::cli
