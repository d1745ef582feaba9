// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "cli/frame/parse_option.h"
#include "cli/train/commands.h"
#include "cli/train/resources.h"
#include "format/base/fail.h"
#include "format/checkpoint/checkpoint.h"
#include "train/adapter/adapter.h"
#include "train/data/overlap.h"
#include "train/data/run_data.h"
#include "train/evaluate/comparison.h"
#include "train/evaluate/measure_checkpoint.h"
#include "transplant/journal.h"

namespace organ::cli {
namespace {

struct Arguments {
  std::string model, adapter, against;
  std::vector<std::string> data, training_data;
  std::string ids;
  train::DocumentSplit documents = train::DocumentSplit::file;
  train::Precision precision = train::Precision::fp32;
  train::Protocol protocol = train::Protocol::p0;
  train::MachineChoice machine = {.own_process = true};
  std::int64_t context = 512;
  std::optional<std::int64_t> stride;
  std::optional<std::int64_t> windows;
  std::optional<std::int32_t> padding_id;
  std::int64_t batch = 8;
  std::uint64_t mask_seed = 0;
  bool per_document = false;
  train::BootstrapOptions bootstrap;
};

void check_range(std::string_view option, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value >= low && value <= high) return;
  fail(ErrorCode::invalid_argument, "{}: {} is out of range, expected {} to {}", option, value, low,
       high);
}

void check_arguments(const Arguments& a) {
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

// One model on the data.
class Measured {
 public:
  // adapter_folder "": none.
  Measured(const Context& context, const Arguments& a, const std::string& folder,
           const std::string& adapter_folder)
      : arguments_(a), source_(folder), adapter_folder_(adapter_folder) {
    check_arguments(a);
    train::prepare_device(a.machine.device);
    if (a.data.empty() == a.ids.empty()) {
      throw Error(ErrorCode::invalid_argument, "what to measure on: give either --data or --ids",
                  "--data FILE... reads text files");
    }
    transplant::require_settled(folder);
    const auto checkpoint = format::Checkpoint::open(folder);
    tokenizer_ = format::tokenizer_digest(checkpoint.folder());
    read_data(checkpoint);
    std::optional<train::Adapter> adapter;
    if (!adapter_folder.empty()) {
      adapter = train::read_adapter(adapter_folder, checkpoint.architecture());
    }
    measurement_ = train::measure_checkpoint(checkpoint, a.precision, a.machine, *data_, options_,
                                             adapter ? &*adapter : nullptr);
    for (const auto& probe : measurement_.probes) context.detail(train::describe(probe));
    context.note(train::describe_passed(measurement_.probes));
    for (const auto& probe : measurement_.diagnosis) {
      if (!probe.passed) context.note(train::describe(probe));
    }
  }

  train::EvalRecord record() const {
    const auto& result = measurement_.result;
    return {source_,
            protocol_name(),
            options_.context,
            options_.stride,
            static_cast<std::uint64_t>(result.targets),
            result.nll(),
            result.perplexity(),
            data_->stream().digest().hex(),
            tokenizer_ ? std::optional(tokenizer_->to_string()) : std::nullopt,
            result.documents};
  }

  const train::Device& device() const { return arguments_.machine.device; }
  nlohmann::json json() const;
  std::vector<std::string> lines() const;

 private:
  void read_data(const format::Checkpoint& checkpoint);
  std::string protocol_name() const {
    return train::protocol_name(options_.protocol, options_.context, options_.stride);
  }
  std::string figure(const train::EvaluationResult& result) const;
  nlohmann::json dataset_record() const;
  void add_diagnosis(nlohmann::json& record) const;

  const Arguments& arguments_;
  std::string source_, adapter_folder_;
  std::optional<Digest> tokenizer_;
  std::optional<train::Dataset> data_;
  train::EvaluationOptions options_;
  train::Measurement measurement_;
  nlohmann::json overlap_;
};

void Measured::read_data(const format::Checkpoint& checkpoint) {
  const Arguments& a = arguments_;
  train::MeasuredData measured = train::read_measured_data(
      checkpoint, {.source = {{a.data.begin(), a.data.end()}, a.ids},
                   .padding_id = a.padding_id,
                   .split = a.documents,
                   .context = a.context,
                   .lead_in = a.protocol == train::Protocol::p0w,
                   .seed = a.mask_seed,
                   .training_texts = {a.training_data.begin(), a.training_data.end()}});
  data_ = std::move(measured.data);
  const bool asked = a.protocol != train::Protocol::p0;
  options_.protocol =
      asked ? a.protocol : train::protocol_of(data_->task()).value_or(train::Protocol::p0);
  options_.context = data_->context();
  options_.stride = a.stride.value_or(options_.context);
  options_.windows = a.windows.value_or(0);
  options_.batch_rows = a.batch;
  options_.padding_id = measured.padding_id;
  if (measured.overlap) overlap_ = overlap_record(*measured.overlap);
}

// What was measured on, for people: the path as given, or the first of several.
nlohmann::json Measured::dataset_record() const {
  const Arguments& a = arguments_;
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
  nlohmann::json record = {
      {"protocol", protocol_name()},
      {"comparable", !train::is_diagnostic(options_.protocol)},
      {"context", options_.context},
      {"stride", options_.stride},
      {"windows", result.windows},
      {"precision", to_string(arguments_.precision)},
      {"device", to_string(arguments_.machine.device)},
      {"tokens", result.targets},
      {"nll", result.nll()},
      {"ppl", result.perplexity()},
      {"bits_per_byte", bits ? nlohmann::json(*bits) : nlohmann::json()},
      {"dataset", dataset_record()},
      {"adapter", adapter_folder_.empty() ? nlohmann::json() : nlohmann::json(adapter_folder_)},
      {"tokenizer", tokenizer_ ? nlohmann::json(tokenizer_->to_string()) : nlohmann::json()}};
  if (options_.protocol == train::Protocol::p0w) record["words"] = result.words;
  if (!overlap_.is_null()) record["overlap"] = overlap_;
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
    record["padding"] = {{"tokens", result.padding.targets}, {"nll_sum", result.padding.nll}};
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
                                ? fmt::format(" of {} words", result.words)
                                : std::string();
  return fmt::format("{} {:.4f} (nll {:.6f}, {} targets{}{})",
                     train::protocol_label(
                         train::protocol_name(result.protocol, options_.context, options_.stride),
                         options_.context, options_.stride, tokenizer_),
                     result.perplexity(), result.nll(), result.targets, words,
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
  if (!overlap_.is_null()) {
    lines.push_back(fmt::format("{:.2f} % of the {} 13-grams also occur in the training data",
                                100 * overlap_.at("share").get<double>(),
                                overlap_.at("grams").get<std::uint64_t>()));
  }
  return lines;
}

// A saved record where `source` is a file, else a measurement of the model folder.
train::EvalRecord side_of(const Context& context, const Arguments& a, const std::string& source,
                          const std::string& adapter_folder) {
  std::error_code unreadable;
  if (std::filesystem::is_regular_file(source, unreadable)) {
    if (adapter_folder.empty()) return train::read_eval_record(source);
    fail(ErrorCode::invalid_argument, "--adapter: {} is a record of a measurement, no model",
         quote(source));
  }
  const Measured measured(context, a, source, adapter_folder);
  if (!context.json) {
    for (const auto& line : measured.lines()) {
      context.print(fmt::format("{}: {}", escape_text(source), line));
    }
  }
  return measured.record();
}

void run_comparison(const Context& context, const Arguments& a) {
  if (!a.training_data.empty() || a.per_document) {
    fail(ErrorCode::invalid_argument, "{}: cannot be joined with --against",
         a.per_document ? "--per-document" : "--training-data");
  }
  check_arguments(a);
  if (train::is_diagnostic(a.protocol)) {
    fail(ErrorCode::invalid_argument, "--against: figures of {} are not comparable",
         train::to_string(a.protocol));
  }
  const train::EvalRecord first = side_of(context, a, a.model, a.adapter);
  const train::EvalRecord second = side_of(context, a, a.against, "");
  train::check_comparable(first, second);
  const auto difference = train::paired_bootstrap(first.documents, second.documents, a.bootstrap);
  if (context.json) {
    context.print_json("eval", train::comparison_record(first, second, difference, a.bootstrap));
  } else {
    context.print(train::describe(difference, a.bootstrap));
  }
}

void run_eval(const Context& context, const Arguments& a) {
  if (!a.against.empty()) return run_comparison(context, a);
  ResourceWatch resources;
  const Measured measured(context, a, a.model, a.adapter);
  if (context.json) {
    nlohmann::json record = measured.json();
    resources.add_to(record, measured.device());
    context.print_json("eval", std::move(record));
    return;
  }
  for (const auto& line : measured.lines()) context.print(line);
  resources.note(context, measured.device());
}

}  // namespace

void add_eval(Command& app, Context& context) {
  const auto arguments = std::make_shared<Arguments>();  // lives as long as the parser's callback
  Command command =
      app.add_train_command(context, "eval",
                            "  organ eval SmolLM2-135M --data test.txt --context 1024\n"
                            "  organ eval SmolLM2-135M --ids windows.safetensors --json\n"
                            "  organ eval recovered --against SmolLM2-135M --data test.txt \\\n"
                            "      --documents blank-lines\n"
                            "  organ eval SmolLM2-135M --data test.txt --protocol P4\n"
                            "  organ eval SmolLM2-135M --adapter law-lora --data test.txt");
  command.add_option("model", arguments->model, "checkpoint folder (or saved --json record)")
      .required();
  command
      .add_option(
          "--adapter", arguments->adapter,
          "folder of a PEFT adapter (LoRA, IA3, prompt, prefix) or bottlenecks to measure it with")
      .value_name("DIR");
  command.add_option("--data", arguments->data, "text files").value_name("FILE");
  command
      .add_option("--ids", arguments->ids,
                  "safetensors file with I64 'ids' [windows, length] instead")
      .value_name("FILE");
  command.add_option("--pad-id", arguments->padding_id,
                     "the id that fills up rows of --ids, no text (P1: fills up documents)");
  add_choice(command, "--documents", arguments->documents, train::parse_document_split,
             "file|blank-lines|end-of-text", "what ends a document");
  command.add_option("--context", arguments->context, "tokens per window").show_default();
  command.add_option("--stride", arguments->stride,
                     "tokens between windows [default: the context]; less is P0s");
  command.add_option("--windows", arguments->windows, "only the first so many");
  add_choice(command, "--protocol", arguments->protocol, train::parse_protocol,
             "P0|P0w|P1|P2|P3|P4|P5|P6",
             "P0, P0w (per word), or P1 to P6: diagnostics that explain wrong figures");
  command.add_option("--batch", arguments->batch, "documents a batch, P6 only").show_default();
  command
      .add_option("--training-data", arguments->training_data,
                  "text files: how much of the data was in them")
      .value_name("FILE");
  command.add_flag("--per-document", arguments->per_document,
                   "with --json: the score of each document too");
  command
      .add_option("--against", arguments->against,
                  "a second model (or saved record): difference with its interval")
      .value_name("MODEL");
  command.add_option("--resamples", arguments->bootstrap.resamples, "of the paired bootstrap")
      .show_default();
  command.add_option("--seed", arguments->bootstrap.seed, "of the paired bootstrap").show_default();
  command
      .add_option("--mask-seed", arguments->mask_seed,
                  "of BERT and T5: which tokens are hidden, which spans dropped")
      .show_default();
  add_choice(command, "--precision", arguments->precision, train::parse_precision, "bf16|fp32",
             "precision of the arithmetic");
  add_choice(command, "--device", arguments->machine.device, train::parse_device, "cpu|cuda|cuda:N",
             "where it computes");
  command.add_option("--threads", arguments->machine.threads, "0: all cores").show_default();
  command.on_run([&context, arguments] { run_eval(context, *arguments); });
}

}  // namespace organ::cli
