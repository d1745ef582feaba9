// SPDX-License-Identifier: Apache-2.0
#include "cli/train/measured.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "cli/frame/amounts.h"
#include "cli/frame/context.h"
#include "cli/frame/long_work.h"
#include "format/base/fail.h"
#include "format/manifest/evaluation_json.h"
#include "train/adapter/adapter_tokenizer.h"
#include "train/data/overlap.h"
#include "transplant/journal.h"

namespace organ::cli {
namespace {

void check_range(std::string_view option, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value >= low && value <= high) return;
  fail(ErrorCode::invalid_argument, "{}: {} is out of range, expected {} to {}", option, value, low,
       high);
}

nlohmann::json overlap_record(const train::OverlapCount& overlap) {
  nlohmann::json files = nlohmann::json::array();
  for (const auto& file : overlap.training_files) {
    files.push_back({{"name", file.name}, {"sha256", file.digest.hex()}});
  }
  return {{"gram_tokens", train::kOverlapGram},
          {"grams", overlap.grams},
          {"found", overlap.found},
          {"share", overlap.share},
          {"training_files", files}};
}

// The meter of a measurement. It writes nothing, so a signal ends the process at once.
class MeasuringProgress {
 public:
  explicit MeasuringProgress(const Context& context) {
    if (context.show_progress()) meter_.emplace().begin("loading the model", 0, Unit::items);
  }

  void operator()(std::int64_t done, std::int64_t total) {
    if (done <= done_ || done_ == 0) {  // a diagnostic measures twice
      if (meter_) meter_->begin("measuring", static_cast<std::uint64_t>(total), Unit::items);
      done_ = 0;
    }
    if (meter_) meter_->advance(static_cast<std::uint64_t>(done - done_));
    done_ = done;
  }

 private:
  std::optional<Meter> meter_;
  std::int64_t done_ = 0;
};

train::MeasuredDataOptions data_options(const EvalArguments& a) {
  return {.source = {{a.data.begin(), a.data.end()}, std::filesystem::path(a.ids)},
          .padding_id = a.padding_id,
          .split = a.documents,
          .context = a.context,
          .lead_in = a.lead_in,
          .rolling = a.protocol == train::Protocol::p0w,
          .seed = a.mask_seed,
          .training_texts = {a.training_data.begin(), a.training_data.end()}};
}

void check_data(const EvalArguments& a) {
  train::check_measured_data(data_options(a), {.texts = "--data",
                                               .ids = "--ids",
                                               .measured = "what to measure on",
                                               .lead_in = "--lead-in",
                                               .hint = "--data FILE... reads text files"});
}

format::Checkpoint open_settled(const EvalArguments& a, const std::string& folder) {
  check_arguments(a);
  check_data(a);
  train::prepare_device(a.machine.device);
  transplant::require_settled(folder);
  return format::Checkpoint::open(folder);
}

}  // namespace

void check_arguments(const EvalArguments& a) {
  if (a.windows && *a.windows < 1) {
    fail(ErrorCode::invalid_argument, "--windows: {} is out of range, expected 1 or more",
         *a.windows);
  }
  check_range("--context", a.context, 2, 1 << 20);
  check_range("--threads", a.machine.threads, 0, 1024);
  check_range("--batch", a.batch, 1, 1 << 20);
  if (a.mask_seed != 0 && (a.per_document || !a.against.empty())) {
    fail(ErrorCode::invalid_argument, "--mask-seed: figures of different draws are not comparable");
  }
  if (a.padding_id) check_range("--pad-id", *a.padding_id, 0, INT32_MAX);
  // Two records are compared without data.
  if (!a.data.empty() || !a.ids.empty()) check_data(a);
}

Measured::Measured(const Context& context, const EvalArguments& a, const std::string& folder,
                   const std::string& adapter_folder)
    : arguments_(a),
      source_(folder),
      adapter_folder_(adapter_folder),
      checkpoint_(open_settled(a, folder)) {
  context.warn_of(checkpoint_.warnings());
  tokenizer_ = checkpoint_.own_tokenizer_digest();
  if (!adapter_folder.empty() && a.ids.empty()) {
    if (const auto warning = train::compare_tokenizers(checkpoint_, adapter_folder)) {
      context.warn(*warning);
    }
  }
  read_data(context);
  if (a.per_document) {
    train::require_record_fits(data_->stream().document_starts().size(),
                               data_->stream().files().size());
  }
}

train::Measurement Measured::watched_measurement(const Context& context) const {
  MeasuringProgress progress(context);
  train::EvaluationOptions options = options_;
  options.progress = std::ref(progress);
  return train::measure_checkpoint(checkpoint_, arguments_.precision, arguments_.machine, *data_,
                                   options, adapter_folder_);
}

void Measured::measure(const Context& context) {
  measurement_ = watched_measurement(context);
  for (const auto& probe : measurement_.probes) context.detail(train::describe(probe));
  context.note(train::describe_passed(measurement_.probes));
  for (const auto& probe : measurement_.diagnosis) {
    if (!probe.passed) context.note(train::describe(probe));
  }
}

train::EvalRecord Measured::planned() const {
  train::EvalRecord record;
  record.source = source_;
  record.protocol = protocol_name();
  record.context = options_.context;
  record.stride = options_.stride;
  record.dataset = data_->stream().digest().hex();
  if (tokenizer_) record.tokenizer = tokenizer_->to_string();
  auto measured = conditions();
  record.precision = std::move(measured.precision);
  record.device = std::move(measured.device);
  record.lead_in = std::move(measured.lead_in);
  record.reading = std::move(measured.reading);
  return record;
}

train::EvalRecord Measured::record() const {
  const auto& result = measurement_.result;
  train::EvalRecord record = planned();
  record.tokens = static_cast<std::uint64_t>(result.targets);
  record.nll = result.nll();
  record.perplexity = result.perplexity();
  record.documents = result.documents;
  return record;
}

format::EvaluationReading Measured::reading() const {
  return train::recorded_reading(*data_, measurement_.result);
}

format::EvaluationConditions Measured::conditions() const {
  return {.precision = std::string(to_string(arguments_.precision)),
          .device = std::string(train::device_class(device())),
          .lead_in = data_->stream().recorded_lead_in(),
          .reading = reading()};
}

void Measured::read_data(const Context& context) {
  const EvalArguments& a = arguments_;
  train::MeasuredData measured = shown(context, [&](const Work& work) {
    return train::read_measured_data(checkpoint_, data_options(a), work);
  });
  context.warn_of(measured.warnings);
  data_ = std::move(measured.data);
  if (!a.against.empty()) {
    // The first windows have no more documents than tokens.
    const auto most = a.windows ? static_cast<std::uint64_t>(*a.windows) * data_->context() : ~0ULL;
    train::check_bootstrap(std::min<std::uint64_t>(data_->stream().document_starts().size(), most),
                           a.bootstrap);
  }
  const bool asked = a.protocol != train::Protocol::p0;
  options_.protocol =
      asked ? a.protocol : train::protocol_of(data_->task()).value_or(train::Protocol::p0);
  options_.context = data_->context();
  options_.stride = a.stride.value_or(options_.context);
  options_.windows = a.windows.value_or(0);
  options_.batch_rows = a.batch;
  options_.padding_id = measured.padding_id;
  overlap_ = std::move(measured.overlap);
}

// What was measured on, for people: the path as given, or the first of several.
nlohmann::json Measured::dataset_record() const {
  const EvalArguments& a = arguments_;
  std::string path = a.ids.empty() ? a.data.front() : a.ids;
  if (a.data.size() > 1) path += fmt::format(" and {} more", a.data.size() - 1);
  nlohmann::json files = nlohmann::json::array();
  for (const auto& file : data_->stream().files()) {
    files.push_back({{"name", file.name}, {"sha256", file.digest.hex()}, {"tokens", file.tokens}});
  }
  return {{"path", path}, {"sha256", data_->stream().digest().hex()}, {"files", files}};
}

nlohmann::json Measured::json() const {
  const auto& result = measurement_.result;
  const auto bits = result.bits_per_byte(*data_);
  const auto lead_in = conditions().lead_in;
  nlohmann::json record = {
      {"protocol", protocol_name()},
      {"comparable", !train::is_diagnostic(options_.protocol)},
      {"context", options_.context},
      {"stride", options_.stride},
      {"windows", result.windows},
      {"precision", to_string(arguments_.precision)},
      {"device", to_string(arguments_.machine.device)},
      {"lead_in", lead_in ? nlohmann::json(*lead_in) : nlohmann::json()},
      {"tokens", result.targets},
      {"nll", result.nll()},
      {"ppl", result.perplexity()},
      {"bits_per_byte", bits ? nlohmann::json(*bits) : nlohmann::json()},
      {"dataset", dataset_record()},
      {"adapter", adapter_folder_.empty() ? nlohmann::json() : nlohmann::json(adapter_folder_)},
      {"tokenizer", tokenizer_ ? nlohmann::json(tokenizer_->to_string()) : nlohmann::json()}};
  format::add_reading(record, reading());
  if (options_.protocol == train::Protocol::p0w) record["words"] = result.words;
  if (options_.protocol == train::Protocol::p6) record["batch"] = options_.batch_rows;
  if (overlap_) record["overlap"] = overlap_record(*overlap_);
  if (arguments_.per_document) record["documents"] = train::document_scores(result.documents);
  if (measurement_.sound) add_diagnosis(record);
  return record;
}

void Measured::add_diagnosis(nlohmann::json& record) const {
  const auto& result = measurement_.result;
  const auto& sound = *measurement_.sound;
  record["watermark"] = train::watermark(options_.protocol);
  record["sound"] = {{"protocol", "P0"},
                     {"tokens", sound.targets},
                     {"nll", sound.nll()},
                     {"ppl", sound.perplexity()}};
  if (options_.protocol == train::Protocol::p1) {
    record["padding"] = {{"id", options_.padding_id},
                         {"tokens", result.padding.targets},
                         {"nll_sum", result.padding.nll}};
  }
  nlohmann::json failed = nlohmann::json::array();
  for (const auto& probe : measurement_.diagnosis) {
    if (!probe.passed) failed.push_back(probe.name);
  }
  record["failed_self_tests"] = failed;
}

std::string Measured::figure(const train::EvaluationResult& result) const {
  const auto bits = result.bits_per_byte(*data_);
  const std::string words = result.protocol == train::Protocol::p0w
                                ? fmt::format(" of {}", counted(result.words, "word"))
                                : std::string();
  train::EvaluationOptions measured = options_;
  measured.protocol = result.protocol;
  const std::string label = train::protocol_label(
      train::protocol_name(result.protocol, options_.context, options_.stride), options_.context,
      options_.stride, tokenizer_, conditions(), train::protocol_settings(measured));
  return fmt::format("{} {} (nll {:.6f}, {}{}{})", label, perplexity_text(result.perplexity()),
                     result.nll(), counted(result.targets, "target"), words,
                     bits ? fmt::format(", {:.4f} bits/byte", *bits) : "");
}

std::vector<std::string> Measured::lines() const {
  std::vector<std::string> lines;
  if (measurement_.sound) {
    lines.push_back("*** " + train::watermark(options_.protocol) + " ***");
    lines.push_back(figure(measurement_.result));
    lines.push_back(figure(*measurement_.sound) + " is the model's figure on this data");
  } else {
    lines.push_back(figure(measurement_.result));
  }
  if (overlap_) {
    lines.push_back(fmt::format("{:.2f} % of the {} 13-grams also occur in the training data",
                                100 * overlap_->share, overlap_->grams));
  }
  return lines;
}

}  // namespace organ::cli
