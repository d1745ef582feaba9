// SPDX-License-Identifier: Apache-2.0
#include "cli/train/preset.h"

#include <string>

#include <fmt/core.h>

#include "cli/frame/command.h"
#include "cli/frame/context.h"

namespace organ::cli {
namespace {

// A setting of a preset: its option, how a person writes the value, and the value.
struct Entry {
  const char* option;
  const char* value;
  void (*set)(TrainArguments& arguments);
};

// Its authors trained with batches of 4 to 8, by model.
constexpr Entry kPaper[] = {
    {"--epochs", "5", [](TrainArguments& a) { a.epochs = 5; }},
    {"--seed", "42", [](TrainArguments& a) { a.settings.seed = 42; }},
    {"--lr", "1e-4", [](TrainArguments& a) { a.settings.rate = 1e-4; }},
    {"--schedule", "cosine",
     [](TrainArguments& a) { a.settings.schedule = train::ScheduleKind::cosine; }},
    {"--warmup-share", "0.1", [](TrainArguments& a) { a.settings.warmup_share = 0.1; }},
    {"--weight-decay", "0.01", [](TrainArguments& a) { a.settings.adamw.weight_decay = 0.01; }},
    {"--context", "512", [](TrainArguments& a) { a.settings.context = 512; }},
    {"--batch", "4", [](TrainArguments& a) { a.settings.batch = 4; }},
    {"--precision", "bf16",
     [](TrainArguments& a) { a.settings.precision = train::Precision::bf16; }},
};

}  // namespace

std::optional<Preset> parse_preset(std::string_view name) {
  if (name == "paper") return Preset::paper;
  return std::nullopt;
}

void apply_preset(const Context& context, const Command& command, Preset preset,
                  TrainArguments& arguments) {
  if (preset == Preset::none) return;
  std::string set, kept;
  for (const Entry& entry : kPaper) {
    const std::string option = entry.option;
    // Steps are given instead of epochs.
    if (command.given(option) || (option == "--epochs" && command.given("--steps"))) {
      kept += fmt::format("{}{}", kept.empty() ? "" : ", ", option);
      continue;
    }
    entry.set(arguments);
    set += fmt::format("{}{} {}", set.empty() ? "" : ", ", option, entry.value);
  }
  context.note(fmt::format("preset paper (arXiv 2601.13580, appendix D): {}{}",
                           set.empty() ? "nothing" : set,
                           kept.empty() ? "" : "; not " + kept + ", as the command line says"));
}

}  // namespace organ::cli
