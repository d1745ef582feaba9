// SPDX-License-Identifier: Apache-2.0
#include "train/generate/generation_settings.h"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "format/base/json.h"
#include "format/checkpoint/checkpoint_config.h"

namespace organ::train {
namespace {

// Keys by which transformers 5.23 changes, or refuses, a text that is not drawn (GenerationConfig,
// _get_logits_processor, get_generation_mode, the stopping criteria), and a number that changes
// nothing. Left out: what the command line decides, how the same tokens come faster, what counts
// only beside one of these (length_penalty, early_stopping, diversity_penalty).
struct Key {
  const char* name;
  double neutral;
};

constexpr Key kNotApplied[] = {
    {"bad_words_ids", 0},
    {"begin_suppress_tokens", 0},
    {"constraints", 0},
    {"dola_layers", 0},
    {"encoder_no_repeat_ngram_size", 0},
    {"encoder_repetition_penalty", 1},
    {"exponential_decay_length_penalty", 0},
    {"force_words_ids", 0},
    {"forced_bos_token_id", -1},
    {"forced_eos_token_id", -1},
    {"guidance_scale", 1},
    {"max_time", -1},
    {"min_length", 0},
    {"min_new_tokens", 0},
    {"no_repeat_ngram_size", 0},
    {"num_beam_groups", 1},
    {"num_beams", 1},
    {"penalty_alpha", 0},
    {"sequence_bias", 0},
    {"stop_strings", 0},
    {"suppress_tokens", 0},
    {"token_healing", 0},
    {"watermarking_config", 0},
};

// A value of no known kind is not: it is named, and nothing stops at it.
bool is_neutral(const Json& value, double neutral) {
  if (value.is_null()) return true;
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_number()) return value.get<double>() == neutral;
  return value.is_structured() && value.empty();
}

double read_repetition_penalty(const JsonObject& config) {
  constexpr std::string_view kKey = "repetition_penalty";
  const double penalty = config.optional_real(kKey).value_or(1);
  if (!(penalty > 0)) {
    config.fail_field(kKey, fmt::format("expected a number above 0, got {}", penalty));
  }
  return penalty;
}

}  // namespace

std::optional<std::string> GenerationSettings::warning() const {
  if (not_applied.empty()) return std::nullopt;
  std::string keys;
  for (const std::string& key : not_applied) {
    if (!keys.empty()) keys += ", ";
    keys += key;
  }
  return fmt::format("{}: {} {} not applied: the text is not the one that transformers generates",
                     file, keys, not_applied.size() == 1 ? "is" : "are");
}

GenerationSettings read_generation_settings(const format::Checkpoint& checkpoint) {
  const auto config = format::GenerationConfig::of(checkpoint);
  const JsonObject fields(*config.settings, config.file);
  GenerationSettings settings{config.file, config.stop_ids(), read_repetition_penalty(fields), {}};
  for (const auto& [name, neutral] : kNotApplied) {
    if (fields.has(name) && !is_neutral(fields.at(name), neutral)) {
      settings.not_applied.emplace_back(name);
    }
  }
  return settings;
}

}  // namespace organ::train
