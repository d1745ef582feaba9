// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iostream>

#include <nlohmann/json.hpp>

#include "cli/frame/interrupt.h"
#include "cli/frame/long_work.h"
#include "cli/frame/parse_option.h"
#include "cli/train/commands.h"
#include "format/base/fail.h"
#include "format/checkpoint/checkpoint.h"
#include "format/checkpoint/folder_rules.h"
#include "train/generate/generation.h"
#include "train/generate/generation_settings.h"
#include "train/tokenizer/text_stream.h"
#include "transplant/journal.h"
#include "transplant/receipt.h"
#include "transplant/untouched.h"

namespace organ::cli {
namespace {

struct GenerateArguments {
  std::string model, compare, prompt;
  bool compare_untouched = false;
  train::Precision precision = train::Precision::fp32;
  train::MachineChoice machine = {.own_process = true};
  train::GenerationOptions options;
};

void check_arguments(const GenerateArguments& a) {
  train::check_sampling(a.options.sampling);
  if (a.machine.threads > 1024) {
    fail(ErrorCode::invalid_argument, "--threads: {} is out of range, expected 0 to 1024",
         a.machine.threads);
  }
}

// Text for a terminal: a control character, which a terminal could obey, becomes U+FFFD.
std::string without_controls(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F) {
      out += "\uFFFD";
    } else {
      out += c;
    }
  }
  return out;
}

// What continues the text.
struct Subject {
  std::string folder;
  bool untouched = false;  // as it was before its first organ
};

// "SmolLM2-135M with legal 1.0.0 in layers 10 to 12"
std::string title(const Subject& subject) {
  std::string text = escape_text(subject.folder);
  if (subject.untouched) return text + " before any organ";
  const auto receipts = transplant::read_receipts(subject.folder);
  std::string_view joint = " with ";
  for (std::size_t i = 0; i < receipts.size(); ++i) {
    const transplant::Receipt& receipt = receipts[i];
    // Of several in the same layers the newest one computes.
    const auto covers = [&](const transplant::Receipt& newer) {
      return newer.position <= receipt.position &&
             newer.position + newer.layer_count >= receipt.position + receipt.layer_count;
    };
    if (std::any_of(receipts.begin() + static_cast<std::ptrdiff_t>(i) + 1, receipts.end(),
                    covers)) {
      continue;
    }
    text += fmt::format("{}{} {} in layers {} to {}", joint, escape_text(receipt.organ_name),
                        escape_text(receipt.organ_version), receipt.position,
                        receipt.position + receipt.layer_count - 1);
    joint = " and ";
  }
  return text;
}

// What makes a text impossible is said before the first one begins.
void check_subjects(const std::vector<Subject>& subjects) {
  for (const Subject& subject : subjects) {
    transplant::require_settled(subject.folder);
    const auto checkpoint = format::Checkpoint::open(subject.folder);
    format::require_no_own_adapter(subject.folder);
    (void)train::read_generation_settings(checkpoint);
    if (subject.untouched) transplant::require_installed(subject.folder);
  }
}

struct Continuation {
  Subject subject;
  std::string text;
  train::Generation generation;
  train::GenerationSettings settings;
  std::size_t prompt_tokens = 0;
};

format::Checkpoint open_subject(const Context& context, const Subject& subject, unsigned threads) {
  if (!subject.untouched) return format::Checkpoint::open(subject.folder);
  return watched(context, threads, [&](const Work& work) {
    return transplant::open_untouched(subject.folder, work);
  });
}

// With `stream` the text goes to stdout as it comes.
Continuation continue_prompt(const Context& context, const Subject& subject,
                             const GenerateArguments& a, bool stream) {
  transplant::require_settled(subject.folder);
  const auto checkpoint = open_subject(context, subject, a.machine.threads);
  context.warn_of(checkpoint.warnings());
  const auto tokenizer = train::Tokenizer::open(subject.folder);
  const auto prompt = tokenizer.encode(a.prompt, true);
  train::GenerationOptions options = a.options;
  const auto settings = train::read_generation_settings(checkpoint);
  if (const auto warning = settings.warning()) context.warn(*warning);
  options.stop_ids = settings.stop_ids;
  options.repetition_penalty = settings.repetition_penalty;
  train::Generator generator(checkpoint, a.precision, a.machine);
  // The sentinels that an encoder-decoder writes say which gap it fills.
  const bool continues = train::continues_prompt(checkpoint.architecture());
  train::TextStream text(tokenizer, continues ? prompt : std::vector<std::int32_t>(), continues);
  Continuation result{subject, {}, {}, settings, prompt.size()};
  const auto add = [&](const std::string& piece) {
    result.text += piece;
    if (stream) std::cout << without_controls(piece) << std::flush;
  };
  const InterruptGuard interrupt;
  result.generation = generator.run(prompt, options, [&](std::int32_t id) {
    add(text.push(id));
    return !interrupt.requested();
  });
  add(text.finish());
  if (stream) std::cout << '\n';
  if (interrupt.requested()) fail(ErrorCode::cancelled, "interrupted");
  return result;
}

double tokens_per_second(const train::Generation& generation) {
  return generation.ids.size() > 1 && generation.seconds > 0
             ? static_cast<double>(generation.ids.size() - 1) / generation.seconds
             : 0;
}

nlohmann::json to_json(const Continuation& c) {
  const double rate = tokens_per_second(c.generation);
  return {{"model", c.subject.folder},
          {"untouched", c.subject.untouched},
          {"repetition_penalty", c.settings.repetition_penalty},
          {"not_applied", c.settings.not_applied},
          {"prompt_tokens", c.prompt_tokens},
          {"tokens", c.generation.ids.size()},
          {"ids", c.generation.ids},
          {"text", c.text},
          {"stopped", c.generation.stopped ? "end_of_text" : "max_tokens"},
          {"tokens_per_second", rate > 0 ? nlohmann::json(rate) : nlohmann::json()}};
}

void run_generate(const Context& context, const GenerateArguments& a) {
  check_arguments(a);
  train::prepare_device(a.machine.device);
  std::vector<Subject> subjects = {{a.model}};
  if (a.compare_untouched) subjects.push_back({a.model, true});
  if (!a.compare.empty()) subjects.push_back({a.compare});
  check_subjects(subjects);
  nlohmann::json list = nlohmann::json::array();
  for (const Subject& subject : subjects) {
    if (!context.json && subjects.size() > 1) context.print(fmt::format("--- {}", title(subject)));
    const auto result = continue_prompt(context, subject, a, !context.json);
    context.detail(fmt::format("{} after {} of the prompt, {:.1f} tokens/s",
                               counted(result.generation.ids.size(), "token"), result.prompt_tokens,
                               tokens_per_second(result.generation)));
    list.push_back(to_json(result));
  }
  if (!context.json) return;
  context.print_json("generate", {{"prompt", a.prompt},
                                  {"precision", to_string(a.precision)},
                                  {"device", to_string(a.machine.device)},
                                  {"temperature", a.options.sampling.temperature},
                                  {"top_p", a.options.sampling.top_p},
                                  {"seed", a.options.sampling.seed},
                                  {"max_tokens", a.options.max_tokens},
                                  {"continuations", list}});
}

}  // namespace

void add_generate(Command& app, Context& context) {
  const auto arguments =
      std::make_shared<GenerateArguments>();  // lives as long as the parser's callback
  Command command = app.add_train_command(
      context, "generate",
      "  organ generate SmolLM2-135M --prompt 'The law says' --max-tokens 64\n"
      "  organ generate SmolLM2-legal --compare-untouched --prompt 'The law says'\n"
      "  organ generate SmolLM2-legal --compare SmolLM2-135M \\\n"
      "      --prompt 'The law says' --temperature 0.8 --top-p 0.95 --seed 7");
  train::GenerationOptions& options = arguments->options;
  command.add_path("MODEL", arguments->model, "checkpoint folder").required();
  command.add_option("--prompt", arguments->prompt, "the text to continue").required();
  command
      .add_path("--compare", arguments->compare, "another checkpoint folder that continues it too")
      .value_name("MODEL");
  command.add_flag("--compare-untouched", arguments->compare_untouched,
                   "the model as it was before its organs continues it too; nothing is written");
  command.add_option("--max-tokens", options.max_tokens, "at most so many").show_default();
  command
      .add_option("--temperature", options.sampling.temperature,
                  "spread of the choice, 0: always the most likely token")
      .show_default();
  command
      .add_option("--top-p", options.sampling.top_p,
                  "choose among the likeliest tokens of this probability together")
      .show_default();
  command.add_option("--seed", options.sampling.seed, "equal seeds choose equally").show_default();
  add_choice(command, "--precision", arguments->precision, train::parse_precision, "bf16|fp32",
             "precision of the arithmetic");
  add_choice(command, "--device", arguments->machine.device, train::parse_device, "cpu|cuda|cuda:N",
             "where it computes");
  command.add_option("--threads", arguments->machine.threads, "0: all cores").show_default();
  command.on_run([&context, arguments] { run_generate(context, *arguments); });
}

}  // namespace organ::cli
