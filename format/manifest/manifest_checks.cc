// SPDX-License-Identifier: Apache-2.0
#include "format/manifest/internal/manifest_checks.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

#include "format/architecture/architecture.h"
#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/manifest/reference.h"

namespace organ::format::internal {
namespace {

constexpr std::uint64_t kMostLayers = 4096;
constexpr std::size_t kTextBytes = 4096;

// Ties every message to one document.
struct Checker {
  std::string_view subject;

  [[noreturn]] void fail_field(std::string_view field, std::string_view message) const {
    fail(ErrorCode::corrupt, "{}: field '{}': {}", subject, field, message);
  }
  void require(bool condition, std::string_view field, std::string_view message) const {
    if (!condition) fail_field(field, message);
  }
  // Free text for people: bounded, may hold anything that escape_text can show.
  void text(const std::string& value, std::string_view field) const {
    require(value.size() <= kTextBytes, field,
            fmt::format("has {} bytes, at most {} are allowed", value.size(), kTextBytes));
  }
  void text(const std::optional<std::string>& value, std::string_view field) const {
    if (value) text(*value, field);
  }
  void one_of(const std::string& value, std::string_view field,
              std::initializer_list<std::string_view> allowed) const {
    if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return;
    std::string list;
    for (const std::string_view word : allowed) {
      list += (list.empty() ? "" : ", ") + std::string(word);
    }
    fail_field(field, fmt::format("expected one of {}, got {}", list, quote(value)));
  }
  // Identifiers that become words of a table or a column.
  void word(const std::string& value, std::string_view field) const {
    const bool good = !value.empty() && value.size() <= 64 &&
                      value.find_first_not_of(
                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                          "0123456789._-") == value.npos;
    require(good, field,
            fmt::format("expected 1 to 64 characters of [A-Za-z0-9._-], got {}", quote(value)));
  }
  void finite(double value, std::string_view field, double most) const {
    require(std::isfinite(value) && value >= 0 && value <= most, field,
            fmt::format("expected a finite number from 0 to {}, got {}", most, value));
  }
};

// An invalid_argument of the name and version grammars is damage when it comes from a file.
template <typename Action>
void as_corrupt(const Checker& checker, std::string_view field, Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    checker.fail_field(field, error.message());
  }
}

// YYYY-MM-DDTHH:MM:SSZ and a day that exists.
bool is_utc_time(std::string_view text) {
  constexpr std::string_view kPattern = "0000-00-00T00:00:00Z";
  if (text.size() != kPattern.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kPattern[i] == '0' ? !digit : text[i] != kPattern[i]) return false;
  }
  const auto number = [&](std::size_t at, std::size_t length) {
    unsigned value = 0;
    std::from_chars(text.data() + at, text.data() + at + length, value);
    return value;
  };
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(number(0, 4))),
                                         std::chrono::month(number(5, 2)),
                                         std::chrono::day(number(8, 2))};
  return date.ok() && number(11, 2) < 24 && number(14, 2) < 60 && number(17, 2) < 60;
}

void check_words(const Manifest& manifest, const Checker& checker) {
  as_corrupt(checker, "name", [&] { check_name(manifest.name); });
  as_corrupt(checker, "version", [&] { Version::parse(manifest.version); });
  checker.text(manifest.description, "description");
  checker.text(manifest.license, "license");
  checker.text(manifest.extraction.donor_id, "extraction.donor_id");
  checker.text(manifest.extraction.donor_revision, "extraction.donor_revision");
  if (!manifest.training) return;
  for (const auto& data : manifest.training->data) {
    checker.text(data.name, "training.data[].name");
    checker.text(data.license, "training.data[].license");
  }
}

void check_identity(const Manifest& manifest, const Checker& checker) {
  check_words(manifest, checker);
  checker.require(is_utc_time(manifest.created), "created",
                  "expected a time like 2026-01-31T12:00:00Z, got " + quote(manifest.created));
}

void check_architecture(const Manifest& manifest, const Checker& checker) {
  checker.word(manifest.architecture.model_type, "architecture.model_type");
  const Json fields = json_of(manifest.architecture.layer);
  const JsonObject layer(fields, std::string(checker.subject) + ": architecture.layer");
  layer.optional_string("stack");  // a string, if anything
  const Digest computed = Architecture::signature(manifest.architecture.layer);
  if (computed != manifest.architecture.signature) {
    throw Error(ErrorCode::corrupt,
                fmt::format("{}: field 'architecture.signature': is {} but architecture.layer "
                            "gives {}",
                            checker.subject, manifest.architecture.signature.to_string(),
                            computed.to_string()),
                "if the organ is signed, it is signed but inconsistent; ask its publisher");
  }
}

void check_extraction(const ExtractionRecord& record, const Checker& checker) {
  checker.require(record.layer_count >= 1 && record.layer_count <= kMostLayers,
                  "extraction.layer_count",
                  fmt::format("expected 1 to {}, got {}", kMostLayers, record.layer_count));
  const std::uint64_t end =
      checked_add(record.first_layer, record.layer_count, "extraction.first_layer");
  checker.require(end <= record.donor_layer_count, "extraction.donor_layer_count",
                  fmt::format("layers {}..{} are outside a donor of {}", record.first_layer,
                              end - 1, counted(record.donor_layer_count, "layer")));
  checker.require(record.layer_digests.size() == record.layer_count, "extraction.layer_digests",
                  fmt::format("has {} for {}", counted(record.layer_digests.size(), "digest"),
                              counted(record.layer_count, "layer")));
}

void check_layer_count(const Manifest& manifest, const Checker& checker) {
  const Json fields = json_of(manifest.architecture.layer);
  const JsonObject layer(fields, std::string(checker.subject) + ": architecture.layer");
  // Opaque layers are described one by one, and belong where they come from.
  const bool opaque = layer.has("maths");
  const std::string_view key = opaque ? "tensors" : "attention_types";
  const std::size_t described = opaque ? layer.objects(key).size() : layer.strings(key).size();
  const auto require_each = [&](std::string_view name, std::size_t entries) {
    checker.require(entries == manifest.layer_count(), fmt::format("architecture.layer.{}", name),
                    fmt::format("has {} for {}", counted(entries, "entry"),
                                counted(manifest.layer_count(), "layer")));
  };
  require_each(key, described);
  constexpr std::string_view kScales = "attention_scales";
  if (!opaque && layer.has(kScales)) require_each(kScales, layer.strings(kScales).size());
  if (!opaque) return;
  checker.require(layer.string("maths") == "unknown", "architecture.layer.maths",
                  "expected unknown");
  checker.require(layer.unsigned_integer("first_layer") == manifest.extraction.first_layer,
                  "architecture.layer.first_layer", "is not extraction.first_layer");
  checker.require(
      layer.unsigned_integer("model_layer_count") == manifest.extraction.donor_layer_count,
      "architecture.layer.model_layer_count", "is not extraction.donor_layer_count");
  layer.string("stack");
  layer.object("config");
}

void check_training(const TrainingRecord& record, const Checker& checker) {
  checker.one_of(record.mode, "training.mode", {"in_situ", "wrapper"});
  checker.one_of(record.head, "training.head", {"frozen", "trained", "tied"});
  for (const std::string& tensor : record.trained_tensors) {
    checker.text(tensor, "training.trained_tensors");
  }
  for (const TensorChange& change : record.changes) {
    checker.text(change.tensor, "training.changes[].tensor");
    checker.finite(change.relative_rms, "training.changes[].relative_rms", 1e30);
    checker.finite(change.unchanged_fraction, "training.changes[].unchanged_fraction", 1);
  }
}

void check_evaluation(const Evaluation& evaluation, const Checker& checker) {
  checker.one_of(evaluation.subject, "evaluations[].subject",
                 {"recipient_untouched", "as_transplanted", "after_recovery", "wrapper"});
  checker.word(evaluation.protocol, "evaluations[].protocol");
  const bool diagnostic = evaluation.protocol.size() == 2 && evaluation.protocol[0] == 'P' &&
                          evaluation.protocol[1] >= '1' && evaluation.protocol[1] <= '6';
  checker.require(!diagnostic, "evaluations[].protocol",
                  fmt::format("{} is a diagnostic, no figure of the organ", evaluation.protocol));
  checker.text(evaluation.dataset, "evaluations[].dataset");
  constexpr double kMost = 1.7e308;
  checker.finite(evaluation.nll, "evaluations[].nll", kMost);
  checker.finite(evaluation.perplexity, "evaluations[].perplexity", kMost);
  if (evaluation.bits_per_byte) {
    checker.finite(*evaluation.bits_per_byte, "evaluations[].bits_per_byte", kMost);
  }
  if (!evaluation.conditions) return;
  const EvaluationConditions& conditions = *evaluation.conditions;
  checker.one_of(conditions.precision, "evaluations[].precision", {"fp32", "bf16"});
  checker.one_of(conditions.device, "evaluations[].device", {"cpu", "cuda"});
  constexpr std::size_t kMostLeadIn = 64;
  checker.require(!conditions.lead_in || conditions.lead_in->size() <= kMostLeadIn,
                  "evaluations[].lead_in", fmt::format("has more than {} ids", kMostLeadIn));
  if (!conditions.reading) return;
  const EvaluationReading& reading = *conditions.reading;
  if (reading.document_split) {
    checker.one_of(*reading.document_split, "evaluations[].document_split",
                   {"file", "blank-lines", "end-of-text"});
  }
  checker.require(reading.first_windows != 0, "evaluations[].first_windows", "is 0");
}

}  // namespace

void check_extraction(const ExtractionRecord& record, std::string_view subject) {
  check_extraction(record, Checker{subject});
}

void check_training(const TrainingRecord& record, std::string_view subject) {
  check_training(record, Checker{subject});
}

void check_evaluation(const Evaluation& evaluation, std::string_view subject) {
  check_evaluation(evaluation, Checker{subject});
}

void check_manifest(const Manifest& manifest, std::string_view subject) {
  const Checker checker{subject};
  check_identity(manifest, checker);
  check_architecture(manifest, checker);
  check_extraction(manifest.extraction, checker);
  check_layer_count(manifest, checker);
  if (manifest.training) check_training(*manifest.training, checker);
  for (const Evaluation& evaluation : manifest.evaluations) check_evaluation(evaluation, checker);
  if (manifest.tokenizer) {
    for (const auto& [name, id] : manifest.tokenizer->special_ids) {
      checker.word(name, "tokenizer.special_ids");
    }
  }
  check_files(manifest, subject);
}

}  // namespace organ::format::internal

namespace organ::format {

void check_texts(const Manifest& manifest) {
  try {
    internal::check_words(manifest, internal::Checker{kManifestFile});
  } catch (const Error& error) {
    throw Error(ErrorCode::invalid_argument, error.message(), error.hint());
  }
}

}  // namespace organ::format
