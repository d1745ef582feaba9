// SPDX-License-Identifier: Apache-2.0
#include "train/evaluate/comparison.h"

#include <cmath>
#include <functional>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/json.h"
#include "format/manifest/evaluation_json.h"
#include "train/evaluate/protocol.h"

namespace organ::train {
namespace {

constexpr std::uint64_t kRecordLimit = std::uint64_t{256} << 20;
constexpr std::uint64_t kMostTargets = std::uint64_t{1} << 53;

DocumentScore parse_score(const JsonObject& object) {
  object.allow_only({"nll", "targets"});
  const double nll = object.real("nll");
  if (nll < 0) object.fail_field("nll", "is negative");
  return {nll, static_cast<std::int64_t>(object.unsigned_integer("targets", kMostTargets))};
}

nlohmann::json side(const EvalRecord& record) {
  return {{"source", record.source}, {"nll", record.nll}, {"ppl", record.perplexity}};
}

template <typename T>
void check_equal(std::string_view what, const T& first, const T& second) {
  if (first == second) return;
  fail(ErrorCode::invalid_argument, "comparison: {} is {} against {}, expected the same", what,
       first, second);
}

nlohmann::json nullable(const std::optional<std::string>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json();
}

// One thing that decides the figures of two records. What a record of before does not say may be
// anything.
void check_condition(std::string_view what, const EvalRecord& first,
                     const std::optional<std::string>& of_first, const EvalRecord& second,
                     const std::optional<std::string>& of_second) {
  if (of_first && of_second) return check_equal(what, quote(*of_first), quote(*of_second));
  if (!of_first && !of_second) return;
  const EvalRecord& old = of_first ? second : first;
  const EvalRecord& recent = of_first ? first : second;
  throw Error(
      ErrorCode::invalid_argument,
      fmt::format("comparison: {} was made by an older organ and does not say {}, {} says {}",
                  quote(old.source), what, quote(recent.source),
                  quote(of_first ? *of_first : *of_second)),
      "measure it again");
}

std::optional<std::string> lead_in_of(const EvalRecord& record) {
  if (!record.lead_in) return std::nullopt;
  return format::lead_in_text(*record.lead_in);
}

// A part of the reading; nullopt: the record does not say.
std::optional<std::string> read_as(
    const EvalRecord& record,
    const std::function<std::string(const format::EvaluationReading&)>& part) {
  return record.reading ? std::optional(part(*record.reading)) : std::nullopt;
}

std::string number_or(const std::optional<std::uint64_t>& number, std::string_view otherwise) {
  return number ? std::to_string(*number) : std::string(otherwise);
}

void check_reading(const EvalRecord& first, const EvalRecord& second) {
  using Reading = format::EvaluationReading;
  const auto check = [&](std::string_view what,
                         const std::function<std::string(const Reading&)>& part) {
    check_condition(what, first, read_as(first, part), second, read_as(second, part));
  };
  check("what ended a document (--documents)", format::document_split_text);
  check("what was cut from the end of rows of ids (--pad-id)",
        [](const Reading& reading) { return number_or(reading.padding_id, "nothing"); });
  check("the seed of the draw (--mask-seed)",
        [](const Reading& reading) { return number_or(reading.draw_seed, "none"); });
  check("how many of the first windows were measured (--windows)",
        [](const Reading& reading) { return number_or(reading.first_windows, "all"); });
}

// The class of device: which one of several it was does not matter.
std::optional<std::string> device_class_of(const JsonObject& record) {
  const auto device = record.optional_string("device");
  return device ? std::optional(device->substr(0, device->find(':'))) : std::nullopt;
}

}  // namespace

nlohmann::json document_scores(const std::vector<DocumentScore>& documents) {
  nlohmann::json scores = nlohmann::json::array();
  for (const auto& one : documents) scores.push_back({{"nll", one.nll}, {"targets", one.targets}});
  return scores;
}

void require_record_fits(std::uint64_t documents, std::uint64_t files) {
  // As print_json writes them, two spaces a level: a score with its longest numbers, and the entry
  // of a file, whose name has up to 255 bytes, each of six characters where it is escaped.
  constexpr std::uint64_t kDocument = 96, kFile = 6 * 255 + 200, kRest = std::uint64_t{1} << 20;
  constexpr std::uint64_t kMost = kRecordLimit / kDocument;  // no product overflows
  if (documents <= kMost && files <= kMost &&
      documents * kDocument + files * kFile + kRest <= kRecordLimit) {
    return;
  }
  throw Error(ErrorCode::invalid_argument,
              fmt::format("--per-document: the record of {} in {} could be longer "
                          "than the {} bytes that --against reads",
                          counted(documents, "document"), counted(files, "file"), kRecordLimit),
              fmt::format("measure at most about {} documents in one record", kMost * 9 / 10));
}

EvalRecord read_eval_record(const std::filesystem::path& file) {
  const std::string subject = quote(file.string());
  JsonLimits limits;
  limits.bytes = kRecordLimit;
  limits.keys = 20'000'000;
  limits.reals = true;
  const Json value = parse_json(read_file(file, kRecordLimit), limits, subject);
  const JsonObject root(value, subject);
  if (root.string("command") != "eval") root.fail_field("command", "expected 'eval'");
  if (const auto version = root.unsigned_integer("schema_version"); version != 1) {
    fail(ErrorCode::unsupported_version, "{}: has schema_version {}, this organ reads 1", subject,
         version);
  }
  EvalRecord record;
  record.source = file.string();
  record.protocol = root.string("protocol");
  record.context = static_cast<std::int64_t>(root.unsigned_integer("context"));
  record.stride = static_cast<std::int64_t>(root.unsigned_integer("stride"));
  record.tokens = root.unsigned_integer("tokens", kMostTargets);
  record.nll = root.real("nll");
  record.perplexity = std::exp(record.nll);
  record.dataset = root.object("dataset").string("sha256");
  record.tokenizer = root.optional_string("tokenizer");
  record.precision = root.optional_string("precision");
  record.device = device_class_of(root);
  if (root.is_null("lead_in")) {
    if (root.has("lead_in")) record.lead_in.emplace(std::nullopt);
  } else {
    record.lead_in = root.unsigned_integers("lead_in");
  }
  record.reading = format::read_reading(root);
  if (!root.has("documents")) {
    throw Error(ErrorCode::invalid_argument, subject + ": holds no scores of documents",
                "organ eval --json --per-document writes them");
  }
  for (const auto& document : root.objects("documents")) {
    record.documents.push_back(parse_score(document));
  }
  return record;
}

void check_conditions(const EvalRecord& first, const EvalRecord& second) {
  for (const auto* record : {&first, &second}) {
    const auto protocol = parse_protocol(record->protocol);
    if (protocol && is_diagnostic(*protocol)) {
      fail(ErrorCode::invalid_argument, "comparison: {} was measured under {}, a diagnostic",
           quote(record->source), record->protocol);
    }
  }
  check_equal("the protocol", quote(first.protocol), quote(second.protocol));
  check_equal("the context", first.context, second.context);
  check_equal("the stride", first.stride, second.stride);
  check_equal("the data set", quote(first.dataset), quote(second.dataset));
  check_equal("the tokenizer", quote(first.tokenizer.value_or("none")),
              quote(second.tokenizer.value_or("none")));
  check_condition("the precision", first, first.precision, second, second.precision);
  check_condition("the class of device", first, first.device, second, second.device);
  check_condition("what stood before each document (lead-in)", first, lead_in_of(first), second,
                  lead_in_of(second));
  check_reading(first, second);
}

void check_comparable(const EvalRecord& first, const EvalRecord& second) {
  check_conditions(first, second);
  check_equal("the number of targets", first.tokens, second.tokens);
}

nlohmann::json comparison_record(const EvalRecord& first, const EvalRecord& second,
                                 const PairedDifference& difference,
                                 const BootstrapOptions& options) {
  nlohmann::json record = {
      {"protocol", first.protocol},
      {"context", first.context},
      {"stride", first.stride},
      {"tokens", first.tokens},
      {"documents", difference.documents},
      {"dataset_sha256", first.dataset},
      {"tokenizer", nullable(first.tokenizer)},
      {"precision", nullable(first.precision)},
      {"device", nullable(first.device)},
      {"lead_in",
       first.lead_in && *first.lead_in ? nlohmann::json(**first.lead_in) : nlohmann::json()},
      {"model", side(first)},
      {"against", side(second)},
      {"difference",
       {{"nll", difference.nll},
        {"low", difference.low},
        {"high", difference.high},
        {"level", 0.95},
        {"chance", difference.chance},
        {"resamples", options.resamples},
        {"seed", options.seed}}}};
  format::add_reading(record, first.reading.value_or(format::EvaluationReading()));
  return record;
}

std::string describe(const PairedDifference& difference, const BootstrapOptions& options) {
  constexpr double kLeast = 0.0001;  // that is shown
  const std::string chance = difference.chance < kLeast ? fmt::format("< {}", kLeast)
                                                        : fmt::format("{:.4f}", difference.chance);
  constexpr std::uint64_t kFew = 10;  // below them the interval of percentiles is too narrow
  return fmt::format(
      "difference of nll {:+.6f}, 95 % interval {:+.6f} to {:+.6f}, by chance {} "
      "({} of {}, seed {}){}",
      difference.nll, difference.low, difference.high, chance,
      counted(options.resamples, "resample"), counted(difference.documents, "document"),
      options.seed,
      difference.documents < kFew ? "; so few documents make the interval too narrow" : "");
}

}  // namespace organ::train
