// SPDX-License-Identifier: Apache-2.0
#include "transplant/compatibility.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/organ/shared_values.h"
#include "format/tensor/convert.h"
#include "transplant/field_rules.h"
#include "transplant/internal/judge.h"

namespace organ::transplant {
namespace {

using format::Architecture;
using format::Checkpoint;
using format::Manifest;

// A signed value as people write it: hex floats as decimals.
std::string value_text(const nlohmann::json& value, const std::string& key) {
  if (key == "attention_scales" && value.is_array()) {
    std::string list;
    for (const nlohmann::json& one : value) {
      list += (list.empty() ? "" : ", ") + value_text(one, "attention_scale");
    }
    return escape_text(list, 200);
  }
  if (!value.is_string()) return escape_text(canonical_json(value), 200);
  const std::string text = value.get<std::string>();
  if (text.starts_with("0x")) return fmt::format("{}", real_from_hex(text, key));
  return escape_text(text, 200);
}

std::string member_text(const nlohmann::json& fields, const std::string& key) {
  return fields.contains(key) ? value_text(fields.at(key), key) : "none";
}

// Every p at which the organ fits. Only what layers see and how they scale it depends on p, so each
// pattern is judged once.
std::vector<std::uint64_t> find_fitting_positions(const Case& one) {
  const Architecture& architecture = one.architecture;
  std::vector<std::uint64_t> positions;
  std::map<std::string, bool> judged;
  if (architecture.is_opaque()) {  // they fit where they come from, or nowhere
    const std::uint64_t home = one.organ.extraction.first_layer;
    if (is_opaque(one.organ) && home + one.count <= architecture.layer_count() &&
        fits_at(one, home)) {
      positions.push_back(home);
    }
    return positions;
  }
  for (std::uint64_t p = 0; p + one.count <= architecture.layer_count(); ++p) {
    std::string pattern;
    for (std::uint64_t i = p; i < p + one.count; ++i) {
      pattern +=
          fmt::format("{} {} ", architecture.attention_type(i), architecture.attention_scale(i));
    }
    const auto known = judged.find(pattern);
    const bool fits = known != judged.end() ? known->second : fits_at(one, p);
    judged.emplace(std::move(pattern), fits);
    if (fits) positions.push_back(p);
  }
  return positions;
}

// One model in two element types has one table: what rounding may have changed is said.
void compare_shared_values(Case& one, Judge& judge) {
  const auto ours = format::shared_values(one.organ);
  const auto theirs = format::shared_values(one.recipient);
  if (!ours || !theirs) return;
  const auto common = format::common_type(*ours, *theirs);
  if (!common) return;
  one.shared_digest = ours->digests.at(ours->stored);
  if (ours->stored == theirs->stored) return;
  judge.warn({"shared_values",
              {},
              std::string(to_string(ours->stored)),
              std::string(to_string(theirs->stored)),
              fmt::format("the tables of position biases are {} in the organ and {} in the "
                          "recipient, and equal in {}",
                          to_string(ours->stored), to_string(theirs->stored), to_string(*common)),
              ""});
}

bool check_range(const Manifest& organ, const Architecture& architecture, std::uint64_t position,
                 Judge& judge) {
  const std::uint64_t count = organ.layer_count(), layers = architecture.layer_count();
  if (count <= layers && position <= layers - count) return true;
  judge.refuse(Level::D,
               {"range",
                {},
                fmt::format("{} from layer {}", counted(count, "layer"), position),
                fmt::format("{}", counted(layers, "layer")),
                fmt::format("position {} + {} is beyond the recipient's {}", position,
                            counted(count, "layer"), counted(layers, "layer")),
                count <= layers ? fmt::format("positions 0 to {} are in range", layers - count)
                                : "the organ is longer than the recipient"});
  return false;
}

void compare_tensors(const nlohmann::json& ours, const nlohmann::json& theirs, Judge& judge) {
  std::set<std::string> names;
  for (const auto& [name, shape] : ours.items()) names.insert(name);
  for (const auto& [name, shape] : theirs.items()) names.insert(name);
  for (const std::string& name : names) {
    const std::string expected = member_text(ours, name), actual = member_text(theirs, name);
    if (expected == actual) continue;
    judge.refuse(Level::B, {"tensors",
                            {},
                            expected,
                            actual,
                            fmt::format("tensor {} is {} in the organ and {} in the recipient",
                                        quote(name), expected, actual),
                            std::string(field_rule("tensors").hint)});
  }
}

void compare_fields(const Case& one, Judge& judge) {
  if (one.architecture.is_opaque()) return compare_opaque(one, judge);
  if (fits_at(one, one.position)) return;
  const Json ours = json_of(one.organ.architecture.layer);
  const Json theirs = json_of(fields_of(one, one.position));
  std::set<std::string> keys;
  for (const auto& [key, value] : ours.items()) keys.insert(key);
  for (const auto& [key, value] : theirs.items()) keys.insert(key);
  keys.erase("tensors");
  const std::size_t before = judge.report().findings.size();
  for (const std::string& key : keys) {
    if (ours.contains(key) && theirs.contains(key) && ours.at(key) == theirs.at(key)) continue;
    const FieldRule& rule = field_rule(key);
    const std::string expected = member_text(ours, key), actual = member_text(theirs, key);
    judge.refuse(rule.level, {escape_text(key),
                              {},
                              expected,
                              actual,
                              fmt::format("{} is {} in the organ and {} in the recipient",
                                          escape_text(key), expected, actual),
                              std::string(rule.hint)});
  }
  // Other sizes mean other shapes: shapes alone are news only when nothing else differs.
  if (judge.report().findings.size() == before) {
    compare_tensors(ours.value("tensors", nlohmann::json::object()), theirs.at("tensors"), judge);
  }
  check(judge.report().level != Level::A, "signatures differ and no field does");
}

// The organ's tensors take the recipient's element types, where that is possible.
void compare_dtypes(const Case& one, Judge& judge) {
  std::map<std::pair<format::DType, format::DType>, std::uint64_t> pairs;
  for (std::uint64_t i = 0; i < one.count; ++i) {
    const auto layer = one.recipient.layer(one.position + i);
    const format::FileEntry* file = one.organ.find_file(Manifest::layer_file_name(i));
    if (file == nullptr) continue;  // Manifest::parse refuses such a manifest
    for (const format::TensorInfo& tensor : file->tensors) {
      const auto found = layer.find(tensor.name);
      if (found == layer.end()) continue;  // its absence changes the signature
      const format::DType wanted = found->second.tensor->dtype;
      if (wanted != tensor.dtype) ++pairs[{tensor.dtype, wanted}];
    }
  }
  for (const auto& [pair, tensors] : pairs) {
    const std::string from(to_string(pair.first)), to(to_string(pair.second));
    if (!format::can_convert(pair.first, pair.second)) {
      judge.refuse(Level::B, {"dtype",
                              {},
                              from,
                              to,
                              fmt::format("{}: {} in the organ, {} in the recipient",
                                          counted(tensors, "tensor"), from, to),
                              "convert the recipient or the donor first"});
      continue;
    }
    judge.warn({"dtype",
                {},
                from,
                to,
                fmt::format("{} converted from {} to {}{}", counted(tensors, "tensor"), from, to,
                            pair.first == format::DType::F32 ? ", which rounds" : ""),
                "the receipt lists every converted tensor"});
  }
}

}  // namespace

JsonText fields_of(const Case& one, std::uint64_t first) {
  JsonText fields = one.architecture.layer_fields(first, one.count);
  if (!one.shared_digest) return fields;
  Json changed = json_of(fields);
  changed["shared_digest"] = one.shared_digest->to_string();
  return json_text(changed);
}

bool fits_at(const Case& one, std::uint64_t first) {
  return Architecture::signature(fields_of(one, first)) == one.signature;
}

std::string_view to_string(Level level) {
  constexpr std::string_view kNames[] = {"A", "B", "C", "D"};
  return kNames[static_cast<std::size_t>(level)];
}

std::string_view to_string(Severity severity) {
  constexpr std::string_view kNames[] = {"refusal", "warning", "note"};
  return kNames[static_cast<std::size_t>(severity)];
}

CompatibilityReport check_compatibility(const Manifest& organ, const Checkpoint& recipient,
                                        std::uint64_t position, const Work& work) {
  Judge judge(position, organ.layer_count());
  const Architecture* architecture = nullptr;
  try {
    architecture = &recipient.architecture();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::incompatible) throw;
    judge.refuse(Level::D, {"family",
                            {},
                            escape_text(organ.architecture.model_type),
                            "unknown",
                            error.message(),
                            error.hint()});
    return judge.finish();
  }
  const auto without_maths = seen_without_maths(organ, recipient);
  if (without_maths) {
    architecture = &without_maths->architecture();
    judge.note({"family",
                {},
                "",
                "",
                "the organ was made before organ knew the maths of its layers: everything that was "
                "seen then is compared",
                ""});
  }
  Case one = {organ,
              without_maths ? *without_maths : recipient,
              *architecture,
              position,
              organ.layer_count(),
              Architecture::signature(Architecture::comparable_fields(organ.architecture.layer))};
  compare_shared_values(one, judge);
  for (const std::string& warning : recipient.warnings()) {
    judge.warn({"recipient", {}, "", "", warning, ""});
  }
  judge.report().fitting_positions = find_fitting_positions(one);
  if (!check_kinds(one, judge)) return judge.finish();
  compare_other_parts(one, judge);
  if (!check_range(organ, *architecture, position, judge)) return judge.finish();
  compare_fields(one, judge);
  if (judge.report().level == Level::A) compare_dtypes(one, judge);
  compare_lineage(one, work, judge);
  compare_tokenizer(one, judge);
  compare_training(one, judge);
  return judge.finish();
}

void require_installable(const CompatibilityReport& report, std::string_view organ,
                         std::string_view recipient) {
  if (report.installable()) return;
  std::string reasons, hint;
  for (const CompatibilityFinding& finding : report.findings) {
    if (finding.severity != Severity::refusal) continue;
    reasons += (reasons.empty() ? "" : "; ") + finding.message;
    if (hint.empty()) hint = finding.hint;
  }
  throw Error(ErrorCode::incompatible,
              fmt::format("{}: does not fit {} at layer {} (level {}): {}", quote(organ),
                          quote(recipient), report.position, to_string(report.level), reasons),
              hint);
}

}  // namespace organ::transplant
