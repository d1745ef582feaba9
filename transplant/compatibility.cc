// SPDX-License-Identifier: Apache-2.0
#include "transplant/compatibility.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/checkpoint/tokenizer_files.h"
#include "format/organ/extraction.h"
#include "format/tensor/convert.h"
#include "transplant/internal/judge.h"

namespace organ::transplant {
namespace {

using format::Architecture;
using format::Checkpoint;
using format::Manifest;

// A rule over one field of architecture.layer. A field that no row names falls under the last.
struct FieldRule {
  std::string_view field;
  Level level;
  std::string_view hint;
};

constexpr std::string_view kInner =
    "one Hugging Face config cannot describe both; choose a recipient whose layers agree";
constexpr std::string_view kBridge = "it would take a bridge between the two streams and recovery";
constexpr std::string_view kWindow = "choose a position with the same pattern of attention types";
constexpr std::string_view kRope = "the organ's q and k were trained for its own rotation";

constexpr FieldRule kFieldRules[] = {
    {"hidden_size", Level::C, kBridge},
    {"norm_placement", Level::C, kBridge},
    {"position", Level::C, kBridge},
    {"shared_state", Level::D, "the organ depends on state outside its layers"},
    {"shared_digest", Level::D,
     "the organ's layers were trained with another table of position biases than the recipient's"},
    {"stack", Level::D, "an encoder's layers and a decoder's have another task"},
    {"cross_attention", Level::D, "the recipient's layers lack the second attention"},
    {"norm", Level::B, kInner},
    {"norm_epsilon", Level::B, kInner},
    {"activation", Level::B, kInner},
    {"mlp", Level::B, kInner},
    {"intermediate_size", Level::B, kInner},
    {"num_attention_heads", Level::B, kInner},
    {"num_key_value_heads", Level::B, kInner},
    {"head_dim", Level::B, kInner},
    {"attention_bias", Level::B, kInner},
    {"mlp_bias", Level::B, kInner},
    {"qk_norm", Level::B, kInner},
    {"attention_sinks", Level::B, kInner},
    {"experts", Level::B, kInner},
    {"rope_theta", Level::B, kRope},
    {"rope_scaling", Level::B, kRope},
    {"sliding_window", Level::B, kWindow},
    {"attention_types", Level::B, kWindow},
    {"", Level::B, kInner},
};

const FieldRule& rule_of(std::string_view field) {
  for (const FieldRule& rule : kFieldRules) {
    if (rule.field == field) return rule;
  }
  return *std::prev(std::end(kFieldRules));
}

// A signed value as people write it: hex floats as decimals.
std::string value_text(const nlohmann::json& fields, const std::string& key) {
  if (!fields.contains(key)) return "none";
  const nlohmann::json& value = fields.at(key);
  if (!value.is_string()) return escape_text(canonical_json(value), 200);
  const std::string text = value.get<std::string>();
  if (text.starts_with("0x")) return fmt::format("{}", real_from_hex(text, key));
  return escape_text(text, 200);
}

// Every p with the organ's signature. Only the attention types depend on p, so each pattern is
// judged once.
std::vector<std::uint64_t> find_fitting_positions(const Manifest& organ,
                                                  const Architecture& architecture) {
  const std::uint64_t count = organ.layer_count();
  std::vector<std::uint64_t> positions;
  std::map<std::string, bool> judged;
  if (architecture.is_opaque()) {  // they fit where they come from, or nowhere
    const std::uint64_t home = organ.extraction.first_layer;
    if (is_opaque(organ) && home + count <= architecture.layer_count() &&
        Architecture::signature(architecture.layer_fields(home, count)) ==
            organ.architecture.signature) {
      positions.push_back(home);
    }
    return positions;
  }
  for (std::uint64_t p = 0; p + count <= architecture.layer_count(); ++p) {
    std::string pattern;
    for (std::uint64_t i = p; i < p + count; ++i) {
      pattern += architecture.attention_type(i);
      pattern += ' ';
    }
    const auto known = judged.find(pattern);
    const bool fits = known != judged.end()
                          ? known->second
                          : Architecture::signature(architecture.layer_fields(p, count)) ==
                                organ.architecture.signature;
    judged.emplace(std::move(pattern), fits);
    if (fits) positions.push_back(p);
  }
  return positions;
}

bool check_range(const Manifest& organ, const Architecture& architecture, std::uint64_t position,
                 Judge& judge) {
  const std::uint64_t count = organ.layer_count(), layers = architecture.layer_count();
  if (count <= layers && position <= layers - count) return true;
  judge.refuse(Level::D,
               {"range",
                {},
                fmt::format("{} layers from layer {}", count, position),
                fmt::format("{} layers", layers),
                fmt::format("position {} + {} layers is beyond the recipient's {} layers", position,
                            count, layers),
                count <= layers ? fmt::format("positions 0 to {} are in range", layers - count)
                                : "the organ is longer than the recipient"});
  return false;
}

void compare_tensors(const nlohmann::json& ours, const nlohmann::json& theirs, Judge& judge) {
  std::set<std::string> names;
  for (const auto& [name, shape] : ours.items()) names.insert(name);
  for (const auto& [name, shape] : theirs.items()) names.insert(name);
  for (const std::string& name : names) {
    const std::string expected = value_text(ours, name), actual = value_text(theirs, name);
    if (expected == actual) continue;
    judge.refuse(Level::B, {"tensors",
                            {},
                            expected,
                            actual,
                            fmt::format("tensor {} is {} in the organ and {} in the recipient",
                                        quote(name), expected, actual),
                            std::string(kInner)});
  }
}

void compare_fields(const Case& one, Judge& judge) {
  if (one.architecture.is_opaque()) return compare_opaque(one, judge);
  const JsonText signed_fields = one.architecture.layer_fields(one.position, one.count);
  if (Architecture::signature(signed_fields) == one.organ.architecture.signature) return;
  const Json ours = json_of(one.organ.architecture.layer), theirs = json_of(signed_fields);
  std::set<std::string> keys;
  for (const auto& [key, value] : ours.items()) keys.insert(key);
  for (const auto& [key, value] : theirs.items()) keys.insert(key);
  keys.erase("tensors");
  const std::size_t before = judge.report().findings.size();
  for (const std::string& key : keys) {
    if (ours.contains(key) && theirs.contains(key) && ours.at(key) == theirs.at(key)) continue;
    const FieldRule& rule = rule_of(key);
    const std::string expected = value_text(ours, key), actual = value_text(theirs, key);
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
                              fmt::format("{} tensors are {} in the organ and {} in the recipient",
                                          tensors, from, to),
                              "convert the recipient or the donor first"});
      continue;
    }
    judge.warn({"dtype",
                {},
                from,
                to,
                fmt::format("{} tensors are converted from {} to {}{}", tensors, from, to,
                            pair.first == format::DType::F32 ? ", which rounds" : ""),
                "the receipt lists every converted tensor"});
  }
}

bool same_donor_layers(const Case& one, const Work& work) {
  const format::ExtractionRecord& from = one.organ.extraction;
  if (one.architecture.layer_count() != from.donor_layer_count) return false;
  if (from.layer_digests.size() != one.count) return false;
  const Work comparing = work.phase(
      "comparing layers", format::layers_size(one.recipient, {from.first_layer, one.count}));
  bool same = true;
  for (std::uint64_t i = 0; i < one.count; ++i) {
    const std::uint64_t layer = from.first_layer + i;
    if (same) {
      same = one.recipient.layer_digest(layer, comparing) == from.layer_digests[i];
    } else {
      comparing.advance(one.recipient.layer_size(layer));  // need not be read any more
    }
  }
  return same;
}

void compare_lineage(const Case& one, const Work& work, Judge& judge) {
  const std::string& family = one.organ.architecture.model_type;
  const auto& fits = judge.report().fitting_positions;
  const bool comparable =
      std::find(fits.begin(), fits.end(), one.organ.extraction.first_layer) != fits.end();
  if (comparable && same_donor_layers(one, work)) {
    judge.note({"lineage",
                {},
                "same donor",
                "same donor",
                "the recipient still holds the very layers the organ was made of",
                ""});
  } else if (family == one.architecture.model_type()) {
    judge.warn({"lineage",
                {},
                "same donor",
                "same family",
                "the recipient's layers are not those the organ was made of",
                "measure the result before you rely on it (organ eval)"});
  } else {
    judge.warn({"lineage",
                {},
                escape_text(family),
                escape_text(one.architecture.model_type()),
                fmt::format("the organ comes from a {} model, the recipient is a {} model",
                            escape_text(family), escape_text(one.architecture.model_type())),
                "measure the result before you rely on it (organ eval)"});
  }
}

void compare_tokenizer(const Case& one, Judge& judge) {
  const auto theirs = format::tokenizer_digest(one.recipient.folder());
  if (!one.organ.tokenizer || !theirs) {
    judge.note({"tokenizer",
                {},
                one.organ.tokenizer ? one.organ.tokenizer->digest.to_string() : "not recorded",
                theirs ? theirs->to_string() : "no tokenizer.json",
                "whether both models use the same tokenizer is not known",
                ""});
  } else if (!format::has_tokenizer(one.recipient.folder(), one.organ.tokenizer->digest)) {
    judge.warn({"tokenizer",
                {},
                one.organ.tokenizer->digest.to_string(),
                theirs->to_string(),
                "the organ was made under another tokenizer than the recipient's",
                "what the organ learned may not apply"});
  }
}

void compare_training(const Case& one, Judge& judge) {
  const std::uint64_t home = one.organ.extraction.first_layer;
  const auto& training = one.organ.training;
  if (training && training->mode == "wrapper") {
    judge.warn({"wrapper",
                {},
                "trained in place",
                "trained in a wrapper",
                "the organ was trained on embeddings, not on what reaches it inside a model",
                "expect a loss until the recipient is recovered (organ recover)"});
  }
  if (one.position == home) return;
  CompatibilityFinding finding = {
      "home_position",
      {},
      std::to_string(home),
      std::to_string(one.position),
      fmt::format("the organ was {} at layer {} and goes to layer {}",
                  training ? "trained" : "extracted", home, one.position),
      fmt::format("--at {} is where it comes from", home)};
  if (training)
    judge.warn(std::move(finding));
  else
    judge.note(std::move(finding));
}

void compare_other_parts(const Case& one, Judge& judge) {
  for (const format::FileEntry& file : one.organ.files) {
    if (file.role == format::FileRole::bridge) {
      judge.refuse(Level::C, {"bridge",
                              {},
                              escape_text(file.path),
                              "none",
                              "the organ works only behind its bridge, which a plain Hugging Face "
                              "checkpoint cannot hold",
                              std::string(kBridge)});
    }
    if (file.role == format::FileRole::head) {
      const bool tied = !one.architecture.is_opaque() && one.recipient.tied_head();
      judge.warn({"head",
                  {},
                  escape_text(file.path),
                  tied ? "tied to the embedding" : "own head",
                  "the organ's own output head is not installed; its measurements with that head "
                  "do not apply",
                  ""});
    }
  }
}

}  // namespace

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
  judge.report().fitting_positions = find_fitting_positions(organ, *architecture);
  const Case one = {organ, recipient, *architecture, position, organ.layer_count()};
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
