// SPDX-License-Identifier: Apache-2.0
#include "train/trainer.h"

#include <algorithm>
#include <cmath>
#include <thread>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/core.h>
#include <torch/version.h>

#include "format/base/error.h"
#include "train/gemm_rate.h"
#include "train/internal/batches.h"
#include "train/internal/train_run.h"
#include "train/internal/weights.h"
#include "train/measure.h"
#include "train/memory.h"

namespace organ::train {
namespace {

constexpr std::uint64_t kMaxSkippedInARow = 3;

unsigned use_threads(unsigned wanted) {
  const unsigned threads = wanted ? wanted : std::max(1u, std::thread::hardware_concurrency());
  at::set_num_threads(static_cast<int>(threads));
  return threads;
}

// Model weights come after the thread count: loading already computes.
Model load_model(const format::Checkpoint& checkpoint, const TrainSettings& settings) {
  use_threads(settings.threads);
  return Model::load(checkpoint, {.precision = settings.precision});
}

OrganStack make_stack(Model& model, const TrainSettings& settings, TrainMode mode) {
  const auto first = static_cast<std::int64_t>(settings.layers.first);
  const auto last = first + static_cast<std::int64_t>(settings.layers.count);
  return {model, first, last, mode == TrainMode::in_situ ? model.layer_count() : last};
}

std::int64_t layers_below(const TrainSettings& settings) {
  return settings.mode == TrainMode::in_situ ? static_cast<std::int64_t>(settings.layers.first) : 0;
}

std::vector<Digest> digests_of(const Dataset& data) {
  std::vector<Digest> digests;
  for (const auto& file : data.files()) digests.push_back(file.digest);
  return digests;
}

at::ScalarType scalar_type(format::DType dtype, const std::string& tensor) {
  switch (dtype) {
    case format::DType::F32: return at::kFloat;
    case format::DType::BF16: return at::kBFloat16;
    case format::DType::F16: return at::kHalf;
    default:
      fail(ErrorCode::incompatible, "tensor {}: stored as {}, only F32, BF16 and F16 train",
           quote(tensor), format::to_string(dtype));
  }
}

}  // namespace

TrainRun::TrainRun(const format::Checkpoint& checkpoint, const TrainSettings& settings,
                   const Dataset& data, const Dataset* held_out, TrainObserver& observer)
    : checkpoint_(checkpoint),
      settings_(settings),
      data_(data),
      held_out_(held_out),
      observer_(observer),
      start_(std::chrono::steady_clock::now()),
      model_(load_model(checkpoint, settings)),
      organ_(model_, settings.layers, settings.decay_all),
      trained_stack_(make_stack(model_, settings, settings.mode)),
      whole_stack_(make_stack(model_, settings, TrainMode::in_situ)),
      inputs_(model_, data, layers_below(settings), settings.precision == Precision::bf16,
              settings.cache_bytes),
      order_(settings.seed, data.windows()),
      schedule_{settings.schedule, settings.rate,
                warmup_steps(settings.warmup_share, settings.steps), settings.steps} {
  if (!held_out) return;
  // Never rounded: the figures are those of `organ eval`.
  const auto below = static_cast<std::int64_t>(settings.layers.first);
  held_out_inputs_.emplace(model_, *held_out, below, false, settings.cache_bytes / 4);
  held_out_embeddings_.emplace(model_, *held_out, 0, false, 0);
}

void TrainRun::prove_model() {
  const std::int64_t window = 0;
  const bool whole = settings_.mode == TrainMode::in_situ;
  const auto first = static_cast<std::int64_t>(settings_.layers.first);
  const auto count = static_cast<std::int64_t>(settings_.layers.count);
  const ProbeLayers layers =
      whole ? ProbeLayers{0, model_.layer_count()} : ProbeLayers{first, first + count};
  const auto findings = run_probes(model_, layers, make_batch(data_, {&window, 1}));
  for (const auto& finding : findings) observer_.note(describe(finding));
  require_passed(findings);
}

void TrainRun::warn_if_slow() {
  const double rate = measure_gemm_rate(settings_.precision);
  observer_.note(fmt::format("matrix products run at {:.0f} GFLOP/s in {} with {} threads", rate,
                             to_string(settings_.precision), at::get_num_threads()));
  if (rate < kSlowGemmRate) {
    observer_.warn(fmt::format("matrix products run at {:.0f} GFLOP/s only (expected {} or more)",
                               rate, kSlowGemmRate));
  }
}

void TrainRun::resume_or_start() {
  record_.seed = settings_.seed;
  record_.config_digest = settings_digest(settings_, checkpoint_.config_digest());
  record_.data_digests = digests_of(data_);
  record_.software = software_versions();
  std::vector<std::string> skipped;
  const auto state = load_newest_train_state(settings_.run_folder, skipped);
  for (const auto& line : skipped) observer_.warn("train state left out: " + line);
  if (state && !settings_.resume) {
    throw Error(ErrorCode::already_exists,
                fmt::format("{}: holds a train state of step {}",
                            quote(settings_.run_folder.string()), state->record.step),
                "--resume continues it; or choose another --run-dir");
  }
  if (state) restore(*state);
  if (!state && settings_.resume) observer_.note("no train state to resume: starting at step 0");
  saved_step_ = record_.step;
  log_.emplace(settings_.run_folder, record_.step);
}

void TrainRun::restore(const TrainState& state) {
  const auto mismatch = [&](std::string_view what) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("--resume: the train state of step {} was made with other {}",
                            state.record.step, what),
                "repeat the options and files of the first start, or choose another --run-dir");
  };
  if (state.record.config_digest != record_.config_digest) mismatch("settings or another model");
  if (state.record.data_digests != record_.data_digests) mismatch("data");
  if (state.record.software != record_.software) {
    observer_.warn("--resume: the train state comes from other versions; bits may differ");
  }
  const FlatParameters view = organ_.view();
  if (state.master.size() != view.master.size() ||
      state.first_moment.size() != view.master.size() ||
      state.second_moment.size() != view.master.size()) {
    fail(ErrorCode::corrupt, "train state: has {} parameters, expected {}", state.master.size(),
         view.master.size());
  }
  std::copy(state.master.begin(), state.master.end(), view.master.begin());
  std::copy(state.first_moment.begin(), state.first_moment.end(), view.first_moment.begin());
  std::copy(state.second_moment.begin(), state.second_moment.end(), view.second_moment.begin());
  organ_.refresh_working(state.record.updates);
  record_ = state.record;
  observer_.note(fmt::format("resumed at step {} of {}", record_.step, settings_.steps));
}

void TrainRun::save() {
  TrainStateRecord record = record_;
  record.milliseconds = milliseconds();
  const FlatParameters view = organ_.view();
  log_->sync();
  save_train_state(settings_.run_folder, record,
                   {view.master, view.first_moment, view.second_moment});
  saved_step_ = record_.step;
}

void TrainRun::stop_if_interrupted() {
  if (!interrupt_.requested()) return;
  if (saved_step_ != record_.step || record_.step == 0) save();
  throw Error(ErrorCode::cancelled,
              fmt::format("training: interrupted at step {} of {}; train state saved in {}",
                          record_.step, settings_.steps, quote(settings_.run_folder.string())),
              "the same command with --resume continues");
}

void TrainRun::finish_skipped_step() {
  for (float& value : organ_.view().gradient) value = 0;
  ++record_.skipped;
  ++record_.skipped_in_a_row;
  observer_.warn(fmt::format("step {}: loss or gradient is not finite; parameters left as they are",
                             record_.step + 1));
  if (record_.skipped_in_a_row < kMaxSkippedInARow) return;
  // The saved state must not stop again at once: resuming gets its three tries.
  record_.skipped_in_a_row = 0;
  ++record_.step;
  save();
  throw Error(ErrorCode::device,
              fmt::format("training: loss or gradient not finite {} steps in a row, up to step {}",
                          kMaxSkippedInARow, record_.step),
              fmt::format("the last good parameters are in {}; try a smaller --lr",
                          quote(settings_.run_folder.string())));
}

namespace {

// On a CPU the matrix products are at full speed from about a thousand tokens on; more at once
// only leave the caches and cost memory.
constexpr std::int64_t kTokensAtOnce = 1024;

std::int64_t rows_at_once(const TrainSettings& settings) {
  return std::clamp<std::int64_t>(kTokensAtOnce / settings.context, 1, settings.batch);
}

}  // namespace

void TrainRun::step() {
  const auto start = std::chrono::steady_clock::now();
  StepMetrics metrics;
  metrics.windows = order_.step(record_.step, settings_.rows_per_step());
  for (const auto window : metrics.windows) metrics.targets += data_.targets_in(window);
  const double targets = static_cast<double>(std::max<std::int64_t>(1, metrics.targets));
  double nll = 0;
  const std::span all(metrics.windows);
  const auto rows = static_cast<std::size_t>(rows_at_once(settings_));
  for (std::size_t at = 0; at < all.size(); at += rows) {
    const auto windows = all.subspan(at, rows);
    nll +=
        trained_stack_
            .accumulate_gradient(inputs_.inputs(windows), make_batch(data_, windows), 1 / targets)
            .nll;
  }
  const FlatParameters view = organ_.view();
  metrics.loss = nll / targets;
  metrics.gradient_norm = global_norm(view.gradient);
  metrics.rate = schedule_.at(record_.step);
  metrics.skipped = !std::isfinite(metrics.loss) || !std::isfinite(metrics.gradient_norm);
  if (metrics.skipped) {
    finish_skipped_step();
  } else {
    record_.skipped_in_a_row = 0;
    adamw_step(view, organ_.runs(), settings_.adamw, metrics.rate, ++record_.updates,
               clip_factor(metrics.gradient_norm, settings_.clip_norm),
               static_cast<unsigned>(at::get_num_threads()));
    last_loss_ = metrics.loss;
  }
  metrics.step = ++record_.step;
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  const auto tokens = static_cast<double>(settings_.rows_per_step() * data_.context());
  metrics.tokens_per_second = tokens / elapsed.count();
  metrics.gflops = metrics.tokens_per_second * trained_stack_.flops_per_token() / 1e9;
  log_->write(metrics);
  observer_.step(metrics, settings_.steps);
}

HeldOutLoss TrainRun::measure(OrganStack& stack, PrefixCache& inputs) {
  HeldOutLoss result;
  double nll = 0;
  std::vector<std::int64_t> windows;
  for (std::int64_t first = 0; first < held_out_->windows(); first += settings_.batch) {
    stop_if_interrupted();
    windows.clear();
    for (std::int64_t i = first; i < std::min(first + settings_.batch, held_out_->windows()); ++i) {
      windows.push_back(i);
    }
    const LossSum sum = stack.loss(inputs.inputs(windows), make_batch(*held_out_, windows));
    nll += sum.nll;
    result.targets += sum.targets;
  }
  result.nll = nll / static_cast<double>(result.targets);
  return result;
}

void TrainRun::log_evaluation(const HeldOutLoss& loss) {
  const EvaluationMetrics metrics{record_.step, loss.nll, loss.targets};
  log_->write(metrics);
  observer_.evaluation(metrics);
}

bool TrainRun::evaluate_now() {
  const HeldOutLoss loss = measure(whole_stack_, *held_out_inputs_);
  log_evaluation(loss);
  if (!record_.best_nll || loss.nll < *record_.best_nll) {
    record_.best_nll = loss.nll;
    record_.evaluations_without_gain = 0;
    return false;
  }
  ++record_.evaluations_without_gain;
  return settings_.patience > 0 && record_.evaluations_without_gain >= settings_.patience;
}

void TrainRun::round_to_stored_types() {
  for (std::uint64_t i = 0; i < settings_.layers.count; ++i) {
    const auto stored = checkpoint_.layer(settings_.layers.first + i);
    for (const auto& slot : model_.parameter_layout()) {
      const auto type = scalar_type(trained_type(stored, slot.name), slot.name);
      at::Tensor values = organ_.slot(static_cast<std::int64_t>(i), slot);
      values.copy_(values.to(type));
    }
  }
  organ_.refresh_working();
}

std::vector<TrainedTensor> TrainRun::collect() const {
  std::vector<TrainedTensor> tensors;
  for (std::uint64_t i = 0; i < settings_.layers.count; ++i) {
    for (const auto& slot : model_.parameter_layout()) {
      const at::Tensor values = organ_.slot(static_cast<std::int64_t>(i), slot);
      const float* data = values.data_ptr<float>();
      tensors.push_back(
          {settings_.layers.first + i, slot.name, std::vector<float>(data, data + slot.elements)});
    }
  }
  std::sort(tensors.begin(), tensors.end(), [](const TrainedTensor& a, const TrainedTensor& b) {
    return std::tie(a.layer, a.name) < std::tie(b.layer, b.name);
  });
  return tensors;
}

std::uint64_t TrainRun::milliseconds() const {
  const auto elapsed = std::chrono::steady_clock::now() - start_;
  return record_.milliseconds +
         static_cast<std::uint64_t>(
             std::chrono::duration_cast<std::chrono::milliseconds>(elapsed).count());
}

void TrainRun::train() {
  while (record_.step < settings_.steps) {
    stop_if_interrupted();
    step();
    const bool evaluate = held_out_ && settings_.evaluate_every > 0 &&
                          record_.step % settings_.evaluate_every == 0 &&
                          record_.step < settings_.steps;
    const bool spent = evaluate && evaluate_now();
    if (record_.step % settings_.save_every == 0) save();
    if (spent) return;
  }
}

TrainResult TrainRun::run() {
  warn_if_slow();
  prove_model();
  resume_or_start();
  TrainResult result;
  if (held_out_) {
    if (!record_.untouched_nll) {
      const HeldOutLoss before = measure(whole_stack_, *held_out_inputs_);
      log_evaluation(before);
      record_.untouched_nll = before.nll;
    }
    std::int64_t targets = 0;
    for (std::int64_t i = 0; i < held_out_->windows(); ++i) targets += held_out_->targets_in(i);
    result.before = HeldOutLoss{*record_.untouched_nll, targets};
  }
  train();
  result.stopped_early = record_.step < settings_.steps;
  if (saved_step_ != record_.step) save();
  round_to_stored_types();
  if (held_out_) {
    result.after = measure(whole_stack_, *held_out_inputs_);
    log_evaluation(*result.after);
    if (settings_.mode == TrainMode::wrapper) {
      result.wrapper = measure(trained_stack_, *held_out_embeddings_);
    }
  }
  result.tensors = collect();
  result.steps = record_.step;
  result.skipped = record_.skipped;
  result.milliseconds = milliseconds();
  result.last_loss = last_loss_;
  return result;
}

TrainResult train_layers(const format::Checkpoint& checkpoint, const TrainSettings& settings,
                         const Dataset& data, const Dataset* held_out, TrainObserver& observer) {
  check_settings(settings);
  if (held_out) check_disjoint(data, *held_out);
  const c10::NoGradGuard no_grad;
  keep_large_blocks();
  return TrainRun(checkpoint, settings, data, held_out, observer).run();
}

std::map<std::string, std::string> software_versions() {
  return {{"organ", ORGAN_VERSION}, {"torch", TORCH_VERSION}};
}

}  // namespace organ::train
