// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/settings.h"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "train/data/dataset.h"

namespace organ::train {
namespace {

constexpr std::int64_t kMaxContext = 1 << 20;
constexpr std::int64_t kMaxRows = 1 << 16;
constexpr std::uint64_t kMaxSteps = 100'000'000;

// Written so that NaN fails it.
void check_real(std::string_view option, double value, double low, double high, bool low_included) {
  if ((low_included ? value >= low : value > low) && value <= high) return;
  fail(ErrorCode::invalid_argument, "{}: {} is out of range, expected {} {} and at most {}", option,
       value, low_included ? "at least" : "more than", low, high);
}

// The same of what is computed with in single precision: what is not 0 and becomes 0 there is not
// what was asked for.
void check_single(std::string_view option, double value, double low, double high,
                  bool low_included) {
  check_real(option, value, low, high, low_included);
  if (value == 0 || static_cast<float>(value) != 0) return;
  fail(ErrorCode::invalid_argument, "{}: {} is 0 in single precision", option, value);
}

template <typename Integer>
void check_integer(std::string_view option, Integer value, Integer low, Integer high) {
  if (value >= low && value <= high) return;
  fail(ErrorCode::invalid_argument, "{}: {} is out of range, expected {} to {}", option, value, low,
       high);
}

// ceil(epochs * windows / rows per step).
std::uint64_t steps_of_epochs(double epochs, std::int64_t windows, std::int64_t rows_per_step) {
  check_real("--epochs", epochs, 0, 1e6, false);
  const double rows = epochs * static_cast<double>(windows);
  return std::max<std::uint64_t>(
      1, static_cast<std::uint64_t>(std::ceil(rows / static_cast<double>(rows_per_step))));
}

// A real number as a document has it.
using WriteReal = Json (*)(double);

Json as_number(double value) { return value; }
Json as_hex(double value) { return real_to_hex(value); }

Json deciding_settings(const TrainSettings& s, WriteReal real) {
  Json all = {{"optimizer", "adamw"},
              {"learning_rate", real(s.rate)},
              {"schedule", to_string(s.schedule)},
              {"warmup_share", real(s.warmup_share)},
              {"beta1", real(s.adamw.beta1)},
              {"beta2", real(s.adamw.beta2)},
              {"epsilon", real(s.adamw.epsilon)},
              {"weight_decay", real(s.adamw.weight_decay)},
              {"decay_scope", s.decay_all ? "all" : "2d"},
              {"clip_norm", real(s.clip_norm)},
              {"ema", real(s.ema)},
              {"packing", to_string(s.packing)},
              {"context", s.context},
              {"batch", s.batch},
              {"accumulate", s.accumulate},
              {"steps", s.steps},
              {"precision", to_string(s.precision)}};
  if (s.ema > 0) all["ema_warmup"] = true;
  return all;
}

}  // namespace

std::string_view to_string(TrainMode mode) {
  return mode == TrainMode::in_situ ? "in_situ" : "wrapper";
}

std::optional<TrainMode> parse_train_mode(std::string_view name) {
  if (name == "in_situ") return TrainMode::in_situ;
  if (name == "wrapper") return TrainMode::wrapper;
  return std::nullopt;
}

void check_settings(const TrainSettings& s) {
  check_wishes(s, {.steps = s.steps});
  if (s.run_folder.empty()) {
    fail(ErrorCode::invalid_argument, "run folder: is empty, expected where train states are kept");
  }
  if (s.method.empty()) return;
  try {
    (void)parse_json(s.method, {.reals = true}, "method");
  } catch (const Error& error) {
    throw Error(ErrorCode::invalid_argument, error.what());
  }
}

void check_wishes(const TrainSettings& s, const RunLength& length) {
  check_single("--lr", s.rate, 0, 1, false);
  check_real("--warmup-share", s.warmup_share, 0, 1, true);
  check_single("--weight-decay", s.adamw.weight_decay, 0, 1, true);
  check_single("--clip-norm", s.clip_norm, 0, 1e6, true);
  check_single("--ema", s.ema, 0, 0.999999, true);
  // A moment that never forgets, or grows, leaves no finite weights.
  check_single("beta1", s.adamw.beta1, 0, std::nextafter(1.0F, 0.0F), true);
  check_single("beta2", s.adamw.beta2, 0, std::nextafter(1.0F, 0.0F), true);
  check_single("epsilon", s.adamw.epsilon, 0, 1, false);
  check_integer<std::int64_t>("--context", s.context, 2, kMaxContext);
  check_integer<std::int64_t>("--batch", s.batch, 1, kMaxRows);
  check_integer<std::int64_t>("--accumulate", s.accumulate, 1, kMaxRows);
  check_integer<std::int64_t>("--batch x --accumulate", s.rows_per_step(), 1, kMaxRows);
  if (length.steps) {
    check_integer<std::uint64_t>("--steps", *length.steps, 1, kMaxSteps);
  } else {
    (void)steps_of_epochs(length.epochs, 1, 1);
  }
  check_integer<std::uint64_t>("--save-every", s.save_every, 0, kMaxSteps);
  check_integer<std::uint64_t>("--seed", s.seed, 0, INT64_MAX);
  check_integer<unsigned>("--threads", s.machine.threads, 0, 1024);
  if (s.patience > 0 && s.evaluate_every == 0) {
    throw Error(ErrorCode::invalid_argument, "--patience: counts evaluations, but none is made",
                "give --evaluate-every STEPS too");
  }
}

TrainSettings complete_settings(const TrainSettings& wishes, const RunLength& length,
                                const Dataset& training) {
  TrainSettings settings = wishes;
  settings.context = training.context();
  if (length.steps) {
    settings.steps = *length.steps;
    return settings;
  }
  settings.steps = steps_of_epochs(length.epochs, training.windows(), settings.rows_per_step());
  if (settings.steps > kMaxSteps) {
    fail(ErrorCode::invalid_argument, "--epochs: {} are {} steps, at most {} are taken",
         length.epochs, settings.steps, kMaxSteps);
  }
  return settings;
}

namespace {

JsonText recorded(const TrainSettings& settings, const Dataset& training, WriteReal real) {
  Json fields = deciding_settings(settings, real);
  const auto lead_in = training.stream().recorded_lead_in();
  const auto end = training.stream().end_of_sequence();
  fields["lead_in"] = lead_in ? Json(*lead_in) : Json();
  fields["end_of_sequence"] = end ? Json(static_cast<std::uint64_t>(*end)) : Json();
  const auto split = training.stream().split();
  const auto padding = training.stream().padding_id();
  fields["document_split"] = split ? Json(to_string(*split)) : Json();
  fields["padding_id"] = padding ? Json(static_cast<std::uint64_t>(*padding)) : Json();
  if (settings.patience > 0) {  // they decide which weights are published
    fields["patience"] = settings.patience;
    fields["evaluate_every"] = settings.evaluate_every;
  }
  if (training.task() != Task::next_token) fields["draw"] = to_string(settings.draw);
  return json_text(fields);
}

}  // namespace

JsonText hyperparameters(const TrainSettings& settings, const Dataset& training) {
  return recorded(settings, training, as_number);
}

JsonText setting_texts(const TrainSettings& settings, const Dataset& training) {
  return recorded(settings, training, as_hex);
}

Digest settings_digest(const TrainSettings& s, const Digest& model_config) {
  Json deciding = {{"hyperparameters", deciding_settings(s, as_hex)},
                   {"mode", to_string(s.mode)},
                   {"first_layer", s.layers.first},
                   {"layer_count", s.layers.count},
                   {"seed", s.seed},
                   {"model_config", model_config.to_string()}};
  if (!s.method.empty()) deciding["method"] = s.method;
  return sha256(canonical_json(deciding));
}

}  // namespace organ::train
