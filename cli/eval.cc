// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/train_commands.h"
#include "format/checkpoint.h"
#include "train/measure.h"
#include "train/tokenizer/tokenizer.h"
#include "transplant/recovery.h"

namespace organ::cli {
namespace {

struct Arguments {
  std::string model;
  std::vector<std::string> data;
  std::string ids;
  std::string documents = "file", precision = "fp32";
  std::int64_t context = 512;
  std::optional<std::int64_t> stride;
  std::optional<std::int64_t> windows;
  unsigned threads = 0;
};

void check_arguments(const Arguments& a) {
  if (a.data.empty() == a.ids.empty()) {
    throw Error(ErrorCode::invalid_argument, "what to measure on: give either --data or --ids",
                "--data FILE... reads text files");
  }
  if (a.windows && *a.windows < 1) {
    fail(ErrorCode::invalid_argument, "--windows: {} is out of range, expected 1 or more",
         *a.windows);
  }
  if (a.context < 2 || a.context > (1 << 20)) {
    fail(ErrorCode::invalid_argument, "--context: {} is out of range, expected 2 to {}", a.context,
         1 << 20);
  }
  if (a.threads > 1024) {
    fail(ErrorCode::invalid_argument, "--threads: {} is out of range, expected 0 to 1024",
         a.threads);
  }
}

train::Dataset read_data(const Arguments& a, const format::Checkpoint& checkpoint) {
  const std::uint64_t vocabulary = checkpoint.architecture().vocab_size();
  if (!a.ids.empty()) return train::Dataset::from_ids(a.ids, vocabulary);
  const auto split = train::parse_document_split(a.documents);
  if (!split) {
    fail(ErrorCode::invalid_argument,
         "--documents: {} is unknown, expected file, blank-lines or end-of-text",
         quote(a.documents));
  }
  return train::Dataset::from_texts({a.data.begin(), a.data.end()},
                                    train::Tokenizer::open(checkpoint.folder()), vocabulary,
                                    {.context = a.context, .split = *split});
}

// What was measured on, for people: the path as given, or the first of several.
nlohmann::json dataset_record(const Arguments& a, const train::Dataset& data) {
  std::string path = a.ids.empty() ? a.data.front() : a.ids;
  if (a.data.size() > 1) path += fmt::format(" and {} more", a.data.size() - 1);
  nlohmann::json files = nlohmann::json::array();
  for (const auto& file : data.files()) {
    files.push_back({{"name", file.name}, {"sha256", file.digest.hex()}, {"tokens", file.tokens}});
  }
  return {{"path", path}, {"sha256", data.digest().hex()}, {"files", files}};
}

void run_eval(const Context& context, const Arguments& a) {
  check_arguments(a);
  const auto precision = train::parse_precision(a.precision);
  if (!precision) {
    fail(ErrorCode::invalid_argument, "--precision: {} is unknown, expected fp32 or bf16",
         quote(a.precision));
  }
  transplant::recover_journal(a.model);
  const auto checkpoint = format::Checkpoint::open(a.model);
  const train::Dataset data = read_data(a, checkpoint);
  train::EvaluationOptions options;
  options.context = data.context();
  options.stride = a.stride.value_or(options.context);
  options.windows = a.windows.value_or(0);
  const auto measurement =
      train::measure_checkpoint(checkpoint, *precision, a.threads, data, options);
  for (const auto& probe : measurement.probes) context.detail(train::describe(probe));
  const auto& result = measurement.result;
  const auto tokenizer = format::tokenizer_digest(checkpoint.folder());
  const auto bits = result.bits_per_byte(data);
  if (context.json) {
    context.print_json("eval", {{"protocol", "P0"},
                                {"context", options.context},
                                {"stride", options.stride},
                                {"windows", result.windows},
                                {"precision", to_string(*precision)},
                                {"tokens", result.targets},
                                {"nll", result.nll()},
                                {"ppl", result.perplexity()},
                                {"bits_per_byte", bits ? nlohmann::json(*bits) : nlohmann::json()},
                                {"dataset", dataset_record(a, data)},
                                {"tokenizer", tokenizer ? nlohmann::json(tokenizer->to_string())
                                                        : nlohmann::json()}});
    return;
  }
  context.print(fmt::format("{} {:.4f} (nll {:.6f}, {} targets{})",
                            train::protocol_label(options.context, options.stride, tokenizer),
                            result.perplexity(), result.nll(), result.targets,
                            bits ? fmt::format(", {:.4f} bits/byte", *bits) : ""));
}

}  // namespace

void add_eval(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<Arguments>();  // lives as long as the parser's callback
  CLI::App* command =
      add_command(app, context, "eval", "measure a checkpoint's perplexity under protocol P0",
                  "  organ eval SmolLM2-135M --data test.txt --context 1024\n"
                  "  organ eval SmolLM2-135M --ids windows.safetensors --json");
  command->add_option("model", arguments->model, "checkpoint folder")->required();
  command->add_option("--data", arguments->data, "text files")->type_name("FILE");
  command
      ->add_option("--ids", arguments->ids,
                   "safetensors file with I64 'ids' [windows, length] instead")
      ->type_name("FILE");
  command->add_option("--documents", arguments->documents, "file, blank-lines or end-of-text")
      ->capture_default_str();
  command->add_option("--context", arguments->context, "tokens per window")->capture_default_str();
  command->add_option("--stride", arguments->stride,
                      "tokens between windows [default: the context]");
  command->add_option("--windows", arguments->windows, "only the first so many");
  command->add_option("--precision", arguments->precision, "fp32 or bf16")->capture_default_str();
  command->add_option("--threads", arguments->threads, "0: all cores")->capture_default_str();
  on_run(command, [&context, arguments] { run_eval(context, *arguments); });
}

}  // namespace organ::cli
