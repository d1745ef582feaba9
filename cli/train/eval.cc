// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/frame/parse_option.h"
#include "cli/train/commands.h"
#include "cli/train/resources.h"
#include "format/base/fail.h"
#include "format/checkpoint/checkpoint.h"
#include "train/adapter/adapter.h"
#include "train/data/masking.h"
#include "train/data/overlap.h"
#include "train/data/task_draw.h"
#include "train/evaluate/comparison.h"
#include "train/evaluate/measure_checkpoint.h"
#include "train/tokenizer/tokenizer.h"
#include "transplant/journal.h"

namespace organ::cli {
namespace {

struct Arguments {
  std::string model, adapter, against;
  std::vector<std::string> data, training_data;
  std::string ids;
  std::string documents = "file", precision = "fp32", protocol = "P0", device = "cpu";
  std::int64_t context = 512;
  std::optional<std::int64_t> stride;
  std::optional<std::int64_t> windows;
  std::optional<std::int32_t> padding_id;
  std::int64_t batch = 8;
  std::uint64_t mask_seed = 0;
  unsigned threads = 0;
  bool per_document = false;
  train::BootstrapOptions bootstrap;
};

// The arguments as values.
struct Settings {
  train::Precision precision = train::Precision::fp32;
  train::Protocol protocol = train::Protocol::p0;
  train::DocumentSplit split = train::DocumentSplit::file;
  train::Device device = {};
};

void check_range(std::string_view option, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value >= low && value <= high) return;
  fail(ErrorCode::invalid_argument, "{}: {} is out of range, expected {} to {}", option, value, low,
       high);
}

Settings check_arguments(const Arguments& a) {
  if (a.windows && *a.windows < 1) {
    fail(ErrorCode::invalid_argument, "--windows: {} is out of range, expected 1 or more",
         *a.windows);
  }
  check_range("--context", a.context, 2, 1 << 20);
  check_range("--threads", a.threads, 0, 1024);
  check_range("--batch", a.batch, 1, 1 << 20);
  if (a.mask_seed != 0 && (a.per_document || !a.against.empty())) {
    fail(ErrorCode::invalid_argument, "--mask-seed: figures of different draws are not comparable");
  }
  if (a.padding_id) check_range("--pad-id", *a.padding_id, 0, INT32_MAX);
  return {parsed(train::parse_precision(a.precision), "--precision", a.precision, "fp32 or bf16"),
          parsed(train::parse_protocol(a.protocol), "--protocol", a.protocol,
                 "P0, P0w or a diagnostic P1 to P6"),
          parsed(train::parse_document_split(a.documents), "--documents", a.documents,
                 "file, blank-lines or end-of-text"),
          parsed(train::parse_device(a.device), "--device", a.device, train::kDevices)};
}

// One model on the data.
class Measured {
 public:
  // adapter_folder "": none.
  Measured(const Context& context, const Arguments& a, const std::string& folder,
           const std::string& adapter_folder)
      : arguments_(a),
        settings_(check_arguments(a)),
        source_(folder),
        adapter_folder_(adapter_folder) {
    train::prepare_device(settings_.device);
    if (a.data.empty() == a.ids.empty()) {
      throw Error(ErrorCode::invalid_argument, "what to measure on: give either --data or --ids",
                  "--data FILE... reads text files");
    }
    transplant::recover_journal(folder);
    const auto checkpoint = format::Checkpoint::open(folder);
    tokenizer_ = format::tokenizer_digest(checkpoint.folder());
    read_data(checkpoint);
    std::optional<train::Adapter> adapter;
    if (!adapter_folder.empty()) {
      adapter = train::read_adapter(adapter_folder, checkpoint.architecture());
    }
    measurement_ =
        train::measure_checkpoint(checkpoint, settings_.precision, a.threads, *data_, options_,
                                  adapter ? &*adapter : nullptr, settings_.device);
    for (const auto& probe : measurement_.probes) context.detail(train::describe(probe));
    context.note(train::describe_passed(measurement_.probes));
    for (const auto& probe : measurement_.diagnosis) {
      if (!probe.passed) context.note(train::describe(probe));
    }
  }

  EvalRecord record() const {
    const auto& result = measurement_.result;
    return {source_,
            protocol_name(),
            options_.context,
            options_.stride,
            static_cast<std::uint64_t>(result.targets),
            result.nll(),
            result.perplexity(),
            data_->digest().hex(),
            tokenizer_ ? std::optional(tokenizer_->to_string()) : std::nullopt,
            result.documents};
  }

  const train::Device& device() const { return settings_.device; }
  nlohmann::json json() const;
  std::vector<std::string> lines() const;

 private:
  void read_data(const format::Checkpoint& checkpoint);
  void count_overlap(const train::Tokenizer& tokenizer, std::uint64_t vocabulary,
                     const train::Dataset::Options& options);
  std::string protocol_name() const {
    return train::protocol_name(options_.protocol, options_.context, options_.stride);
  }
  std::string figure(const train::EvaluationResult& result) const;
  nlohmann::json dataset_record() const;
  void add_diagnosis(nlohmann::json& record) const;

  const Arguments& arguments_;
  Settings settings_;
  std::string source_, adapter_folder_;
  std::optional<Digest> tokenizer_;
  std::optional<train::Dataset> data_;
  train::EvaluationOptions options_;
  train::Measurement measurement_;
  nlohmann::json overlap_;
};

void Measured::read_data(const format::Checkpoint& checkpoint) {
  const Arguments& a = arguments_;
  const std::uint64_t vocabulary = checkpoint.architecture().vocab_size();
  const train::Task task = train::task_of(checkpoint.architecture());
  const train::Dataset::Options options{.context = a.context,
                                        .split = settings_.split,
                                        .lead_in = settings_.protocol == train::Protocol::p0w,
                                        .special_tokens = task == train::Task::hidden_tokens};
  std::optional<train::Tokenizer> tokenizer;
  if (a.ids.empty() || !a.training_data.empty() || task != train::Task::next_token) {
    tokenizer = train::Tokenizer::open(checkpoint.folder());
  }
  data_ = a.ids.empty() ? train::Dataset::from_texts({a.data.begin(), a.data.end()}, *tokenizer,
                                                     vocabulary, options)
                        : train::Dataset::from_ids(a.ids, vocabulary, a.padding_id);
  train::set_task(*data_, checkpoint, tokenizer ? &*tokenizer : nullptr, a.mask_seed);
  const bool asked = settings_.protocol != train::Protocol::p0;
  options_.protocol =
      asked ? settings_.protocol : train::protocol_of(task).value_or(train::Protocol::p0);
  options_.context = data_->context();
  options_.stride = a.stride.value_or(options_.context);
  options_.windows = a.windows.value_or(0);
  options_.batch_rows = a.batch;
  if (tokenizer) options_.padding_id = tokenizer->pad().value_or(tokenizer->eos().value_or(0));
  if (a.padding_id) options_.padding_id = *a.padding_id;
  if (!a.training_data.empty()) count_overlap(*tokenizer, vocabulary, options);
}

void Measured::count_overlap(const train::Tokenizer& tokenizer, std::uint64_t vocabulary,
                             const train::Dataset::Options& options) {
  train::OverlapCounter counter(*data_);
  nlohmann::json files = nlohmann::json::array();
  for (const auto& path : arguments_.training_data) {
    const auto training = train::Dataset::from_texts({path}, tokenizer, vocabulary, options);
    counter.add(training);
    const auto& file = training.files().front();
    files.push_back({{"name", file.name}, {"sha256", file.digest.hex()}});
  }
  overlap_ = {{"gram_tokens", train::kOverlapGram},
              {"grams", counter.grams()},
              {"found", counter.found()},
              {"share", counter.share()},
              {"training_files", files}};
}

// What was measured on, for people: the path as given, or the first of several.
nlohmann::json Measured::dataset_record() const {
  const Arguments& a = arguments_;
  std::string path = a.ids.empty() ? a.data.front() : a.ids;
  if (a.data.size() > 1) path += fmt::format(" and {} more", a.data.size() - 1);
  nlohmann::json files = nlohmann::json::array();
  for (const auto& file : data_->files()) {
    files.push_back({{"name", file.name}, {"sha256", file.digest.hex()}, {"tokens", file.tokens}});
  }
  return {{"path", path}, {"sha256", data_->digest().hex()}, {"files", files}};
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
      {"precision", to_string(settings_.precision)},
      {"device", to_string(settings_.device)},
      {"tokens", result.targets},
      {"nll", result.nll()},
      {"ppl", result.perplexity()},
      {"bits_per_byte", bits ? nlohmann::json(*bits) : nlohmann::json()},
      {"dataset", dataset_record()},
      {"adapter", adapter_folder_.empty() ? nlohmann::json() : nlohmann::json(adapter_folder_)},
      {"tokenizer", tokenizer_ ? nlohmann::json(tokenizer_->to_string()) : nlohmann::json()}};
  if (options_.protocol == train::Protocol::p0w) record["words"] = result.words;
  if (!overlap_.is_null()) record["overlap"] = overlap_;
  if (arguments_.per_document) record["documents"] = document_scores(result.documents);
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
EvalRecord side_of(const Context& context, const Arguments& a, const std::string& source,
                   const std::string& adapter_folder) {
  std::error_code unreadable;
  if (std::filesystem::is_regular_file(source, unreadable)) {
    if (adapter_folder.empty()) return read_eval_record(source);
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
  const Settings settings = check_arguments(a);
  if (train::is_diagnostic(settings.protocol)) {
    fail(ErrorCode::invalid_argument, "--against: figures of {} are not comparable", a.protocol);
  }
  const EvalRecord first = side_of(context, a, a.model, a.adapter);
  const EvalRecord second = side_of(context, a, a.against, "");
  check_comparable(first, second);
  const auto difference = train::paired_bootstrap(first.documents, second.documents, a.bootstrap);
  if (context.json) {
    context.print_json("eval", comparison_record(first, second, difference, a.bootstrap));
  } else {
    context.print(describe(difference, a.bootstrap));
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

void add_eval(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<Arguments>();  // lives as long as the parser's callback
  CLI::App* command =
      add_train_command(app, context, "eval",
                        "  organ eval SmolLM2-135M --data test.txt --context 1024\n"
                        "  organ eval SmolLM2-135M --ids windows.safetensors --json\n"
                        "  organ eval recovered --against SmolLM2-135M --data test.txt \\\n"
                        "      --documents blank-lines\n"
                        "  organ eval SmolLM2-135M --data test.txt --protocol P4\n"
                        "  organ eval SmolLM2-135M --adapter law-lora --data test.txt");
  command->add_option("model", arguments->model, "checkpoint folder (or saved --json record)")
      ->required();
  command
      ->add_option(
          "--adapter", arguments->adapter,
          "folder of a PEFT adapter (LoRA, IA3, prompt, prefix) or bottlenecks to measure it with")
      ->type_name("DIR");
  command->add_option("--data", arguments->data, "text files")->type_name("FILE");
  command
      ->add_option("--ids", arguments->ids,
                   "safetensors file with I64 'ids' [windows, length] instead")
      ->type_name("FILE");
  command->add_option("--pad-id", arguments->padding_id,
                      "the id that fills up rows of --ids, no text (P1: fills up documents)");
  command->add_option("--documents", arguments->documents, "what ends a document")
      ->type_name("file|blank-lines|end-of-text")
      ->capture_default_str();
  command->add_option("--context", arguments->context, "tokens per window")->capture_default_str();
  command->add_option("--stride", arguments->stride,
                      "tokens between windows [default: the context]; less is P0s");
  command->add_option("--windows", arguments->windows, "only the first so many");
  command
      ->add_option("--protocol", arguments->protocol,
                   "P0, P0w (per word), or P1 to P6: diagnostics that explain wrong figures")
      ->type_name("P0|P0w|P1|P2|P3|P4|P5|P6")
      ->capture_default_str();
  command->add_option("--batch", arguments->batch, "documents a batch, P6 only")
      ->capture_default_str();
  command
      ->add_option("--training-data", arguments->training_data,
                   "text files: how much of the data was in them")
      ->type_name("FILE");
  command->add_flag("--per-document", arguments->per_document,
                    "with --json: the score of each document too");
  command
      ->add_option("--against", arguments->against,
                   "a second model (or saved record): difference with its interval")
      ->type_name("MODEL");
  command->add_option("--resamples", arguments->bootstrap.resamples, "of the paired bootstrap")
      ->capture_default_str();
  command->add_option("--seed", arguments->bootstrap.seed, "of the paired bootstrap")
      ->capture_default_str();
  command
      ->add_option("--mask-seed", arguments->mask_seed,
                   "of BERT and T5: which tokens are hidden, which spans dropped")
      ->capture_default_str();
  command->add_option("--precision", arguments->precision, "precision of the arithmetic")
      ->type_name("bf16|fp32")
      ->capture_default_str();
  command->add_option("--device", arguments->device, "where it computes")
      ->type_name("cpu|cuda|cuda:N")
      ->capture_default_str();
  command->add_option("--threads", arguments->threads, "0: all cores")->capture_default_str();
  on_run(command, [&context, arguments] { run_eval(context, *arguments); });
}

}  // namespace organ::cli
