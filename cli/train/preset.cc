// SPDX-License-Identifier: Apache-2.0
#include "cli/train/preset.h"

#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include <fmt/core.h>

#include "cli/frame/command.h"
#include "cli/frame/context.h"

namespace organ::cli {
namespace {

// A setting of a preset: its option, how a person writes the value, and what sets it.
struct Entry {
  const char* option;
  std::string value;
  std::function<void()> set;
};

template <typename T>
std::string written(T value) {
  if constexpr (std::is_enum_v<T>) {
    return std::string(to_string(value));
  } else {
    return fmt::format("{}", value);
  }
}

// Borrows the target.
template <typename Target, typename T>
Entry entry(const char* option, Target& target, T value) {
  return {option, written(value), [&target, value] { target = value; }};
}

// Its authors trained with batches of 4 to 8, by model.
std::vector<Entry> paper(TrainArguments& arguments) {
  train::TrainSettings& settings = arguments.settings;
  return {entry("--epochs", arguments.epochs, 5),
          entry("--seed", settings.seed, 42u),
          entry("--lr", settings.rate, 1e-4),
          entry("--schedule", settings.schedule, train::ScheduleKind::cosine),
          entry("--warmup-share", settings.warmup_share, 0.1),
          entry("--weight-decay", settings.adamw.weight_decay, 0.01),
          entry("--context", settings.context, 512),
          entry("--batch", settings.batch, 4),
          entry("--precision", settings.precision, train::Precision::bf16)};
}

}  // namespace

std::optional<Preset> parse_preset(std::string_view name) {
  if (name == "paper") return Preset::paper;
  return std::nullopt;
}

void apply_preset(const Context& context, const Command& command, Preset preset,
                  TrainArguments& arguments) {
  if (preset == Preset::none) return;
  std::string set, kept;
  for (const Entry& one : paper(arguments)) {
    const std::string option = one.option;
    // Steps are given instead of epochs.
    if (command.given(option) || (option == "--epochs" && command.given("--steps"))) {
      kept += fmt::format("{}{}", kept.empty() ? "" : ", ", option);
      continue;
    }
    one.set();
    set += fmt::format("{}{} {}", set.empty() ? "" : ", ", option, one.value);
  }
  context.note(fmt::format("preset paper (arXiv 2601.13580, appendix D): {}{}",
                           set.empty() ? "nothing" : set,
                           kept.empty() ? "" : "; not " + kept + ", as the command line says"));
}

}  // namespace organ::cli
