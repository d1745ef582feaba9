// SPDX-License-Identifier: Apache-2.0
#include <optional>

#include <nlohmann/json.hpp>

#include "cli/frame/parse_option.h"
#include "cli/train/commands.h"
#include "cli/train/measured.h"
#include "cli/train/resources.h"
#include "format/base/fail.h"
#include "train/evaluate/comparison.h"

namespace organ::cli {
namespace {

// The record where `source` is a file; nullopt: it is the folder of a model.
std::optional<train::EvalRecord> saved_record(const std::string& source,
                                              const std::string& adapter_folder) {
  std::error_code unreadable;
  if (!std::filesystem::is_regular_file(source, unreadable)) return std::nullopt;
  if (adapter_folder.empty()) return train::read_eval_record(source);
  fail(ErrorCode::invalid_argument, "--adapter: {} is a record of a measurement, no model",
       quote(source));
}

// Whether the two can be compared, as far as it is known before either is measured, which may take
// hours. Whether so many of the first windows are all there are is known only afterwards.
void check_planned(train::EvalRecord first, train::EvalRecord second, const EvalArguments& a) {
  for (auto* record : {&first, &second}) {
    if (a.windows && record->reading && !record->reading->first_windows) {
      record->reading->first_windows = static_cast<std::uint64_t>(*a.windows);
    }
  }
  train::check_conditions(first, second);
}

train::EvalRecord measure(const Context& context, Measured& planned, const std::string& folder) {
  planned.measure(context);
  if (!context.json) {
    for (const auto& line : planned.lines()) {
      context.print(fmt::format("{}: {}", escape_text(folder), line));
    }
  }
  return planned.record();
}

void run_comparison(const Context& context, const EvalArguments& a) {
  if (!a.training_data.empty() || a.per_document) {
    fail(ErrorCode::invalid_argument, "{}: cannot be joined with --against",
         a.per_document ? "--per-document" : "--training-data");
  }
  check_arguments(a);
  train::check_resamples(a.bootstrap.resamples);
  if (train::is_diagnostic(a.protocol)) {
    fail(ErrorCode::invalid_argument, "--against: figures of {} are not comparable",
         train::to_string(a.protocol));
  }
  const auto saved = saved_record(a.model, a.adapter), other = saved_record(a.against, "");
  std::optional<Measured> model, beside;
  if (!saved) model.emplace(context, a, a.model, a.adapter);
  if (!other) beside.emplace(context, a, a.against, "");
  check_planned(saved ? *saved : model->planned(), other ? *other : beside->planned(), a);
  const train::EvalRecord first = saved ? *saved : measure(context, *model, a.model);
  const train::EvalRecord second = other ? *other : measure(context, *beside, a.against);
  train::check_comparable(first, second);
  const auto difference = train::paired_bootstrap(first.documents, second.documents, a.bootstrap);
  if (context.json) {
    context.print_json("eval", train::comparison_record(first, second, difference, a.bootstrap));
  } else {
    context.print(train::describe(difference, a.bootstrap));
  }
}

void run_eval(const Context& context, const EvalArguments& a) {
  if (!a.against.empty()) return run_comparison(context, a);
  ResourceWatch resources;
  Measured measured(context, a, a.model, a.adapter);
  measured.measure(context);
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
  const auto arguments =
      std::make_shared<EvalArguments>();  // lives as long as the parser's callback
  Command command =
      app.add_train_command(context, "eval",
                            "  organ eval SmolLM2-135M --data test.txt --context 1024\n"
                            "  organ eval SmolLM2-135M --ids windows.safetensors --json\n"
                            "  organ eval recovered --against SmolLM2-135M --data test.txt \\\n"
                            "      --documents blank-lines\n"
                            "  organ eval SmolLM2-135M --data test.txt --protocol P4\n"
                            "  organ eval SmolLM2-135M --adapter law-lora --data test.txt");
  command.add_path("MODEL", arguments->model, "checkpoint folder (or saved --json record)")
      .required();
  command
      .add_path(
          "--adapter", arguments->adapter,
          "folder of a PEFT adapter (LoRA, IA3, prompt, prefix) or bottlenecks to measure it with")
      .value_name("DIR");
  command.add_path("--data", arguments->data, "text files").value_name("FILE").many();
  command
      .add_path("--ids", arguments->ids,
                "safetensors file with I64 'ids' [windows, length] instead")
      .value_name("FILE");
  command.add_option("--pad-id", arguments->padding_id,
                     "the id that fills up rows of --ids, no text (P1: fills up documents)");
  add_choice(command, "--documents", arguments->documents, train::parse_document_split,
             "file|blank-lines|end-of-text", "what ends a document");
  add_choice(command, "--lead-in", arguments->lead_in, train::parse_lead_in, "auto|bos|none",
             "ids before each document, no targets; auto: what the tokenizer puts before a text");
  command.add_option("--context", arguments->context, "tokens per window").show_default();
  command.add_option("--stride", arguments->stride,
                     "tokens between windows [default: the context]; less is P0s");
  command.add_option("--windows", arguments->windows, "only the first so many");
  add_choice(command, "--protocol", arguments->protocol, train::parse_protocol,
             "P0|P0w|P1|P2|P3|P4|P5|P6",
             "P0, P0w (per word), or P1 to P6: diagnostics that explain wrong figures");
  command.add_option("--batch", arguments->batch, "documents a batch, P6 only").show_default();
  command
      .add_path("--training-data", arguments->training_data,
                "text files: how much of the data was in them")
      .value_name("FILE")
      .many();
  command.add_flag("--per-document", arguments->per_document,
                   "with --json: the score of each document too");
  command
      .add_path("--against", arguments->against,
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
