// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/trainer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <string>
#include <thread>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/core.h>

#include "format/base/fail.h"
#include "train/data/hold_out.h"
#include "train/data/task_draw.h"
#include "train/evaluate/measure_checkpoint.h"
#include "train/kernels/product.h"
#include "train/machine/device.h"
#include "train/machine/gemm_rate.h"
#include "train/machine/gemm_rate_on.h"
#include "train/machine/memory.h"
#include "train/machine/torch_device.h"
#include "train/optimize/flat_layers.h"
#include "train/passes/batches.h"
#include "train/probes/data_probes.h"
#include "train/probes/finding.h"
#include "train/probes/model_probes.h"
#include "train/processes/process_place.h"
#include "train/trainer/internal/train_run.h"
#include "train/trainer/run_training.h"

namespace organ::train {
namespace {

constexpr std::uint64_t kMaxSkippedInARow = 3;

// Processes on one machine share its cores.
void use_threads(unsigned wanted, unsigned processes) {
  const unsigned share = std::max(1u, std::thread::hardware_concurrency() / processes);
  at::set_num_threads(static_cast<int>(wanted ? wanted : share));
}

// What the processes that write no files have to say.
class WarningsOnly final : public TrainObserver {
 public:
  explicit WarningsOnly(TrainObserver& observer) : observer_(observer) {}
  void note(std::string_view /*line*/) override {}
  void warn(std::string_view line) override { observer_.warn(line); }
  void step(const StepMetrics& /*metrics*/, std::uint64_t /*total_steps*/) override {}
  void evaluation(const EvaluationMetrics& /*metrics*/) override {}

 private:
  TrainObserver& observer_;
};

LossPath make_stack(Model& model, const TrainSettings& settings, TrainMode mode,
                    const TrainedParameters& trained) {
  const std::int64_t first = model.place_of(settings.layers.first);
  const std::int64_t last = first + trained.trained_layers();
  return {model, first, last, mode == TrainMode::in_situ ? model.layer_count() : last,
          settings.recompute_activations ? Activations::recomputed : Activations::kept};
}

std::int64_t layers_below(const Model& model, const TrainSettings& settings) {
  return settings.mode == TrainMode::in_situ ? model.place_of(settings.layers.first) : 0;
}

std::optional<CacheFolder> open_cache(const TrainSettings& settings) {
  if (settings.cache_folder.empty()) return std::nullopt;
  return CacheFolder(settings.cache_folder, settings.cache_bytes);
}

// How the streams that enter layer `below` are kept.
PrefixOptions prefix_options(const format::Checkpoint& checkpoint, const TrainSettings& settings,
                             std::optional<CacheFolder>& folder, std::int64_t below, bool rounded,
                             std::uint64_t memory_bytes) {
  PrefixOptions options{.layers_below = below, .rounded = rounded, .memory_bytes = memory_bytes};
  if (!folder || below == 0) return options;
  options.folder = &*folder;
  options.prefix =
      prefix_digest(checkpoint, settings.layers.first, settings.precision, settings.device);
  return options;
}

// Processes on one machine take a device each, unless one was named.
Device own_device(Device device, const std::optional<ProcessPlace>& place) {
  if (!device.is_cpu() && device.index < 0 && place) device.index = place->local_rank;
  return device;
}

}  // namespace

TrainRun::TrainRun(const format::Checkpoint& checkpoint, const TrainSettings& settings,
                   at::Device device, const Dataset& data, const Dataset* held_out,
                   TrainObserver& observer, ProcessGroup& group, const MakeTrained& make_trained)
    : checkpoint_(checkpoint),
      settings_(settings),
      data_(data),
      held_out_(held_out),
      observer_(observer),
      group_(group),
      gradient_sum_(group, device),
      start_(std::chrono::steady_clock::now()),
      model_(Model::load(checkpoint, {.precision = settings.precision, .device = device})),
      trained_(make_trained(model_)),
      organ_(*trained_),
      trained_stack_(make_stack(model_, settings, settings.mode, organ_)),
      whole_stack_(make_stack(model_, settings, TrainMode::in_situ, organ_)),
      cache_(open_cache(settings)),
      inputs_(model_, data,
              prefix_options(checkpoint, settings, cache_, layers_below(model_, settings),
                             settings.precision == Precision::bf16, settings.cache_bytes)),
      order_(settings.seed, data.windows()),
      schedule_{settings.schedule, settings.rate,
                warmup_steps(settings.warmup_share, settings.steps), settings.steps} {
  if (settings.ema > 0) average_ = organ_.tensors().master.clone();
  if (!held_out) return;
  // Never rounded: the figures are those of `organ eval`.
  const std::int64_t below = model_.place_of(settings.layers.first);
  held_out_inputs_.emplace(
      model_, *held_out,
      prefix_options(checkpoint, settings, cache_, below, false, settings.cache_bytes / 4));
  held_out_embeddings_.emplace(model_, *held_out, PrefixOptions{});
}

void TrainRun::prove_model() {
  const std::int64_t window = 0;
  const bool whole = settings_.mode == TrainMode::in_situ;
  const std::int64_t first = model_.place_of(settings_.layers.first);
  const auto count = static_cast<std::int64_t>(settings_.layers.count);
  const ProbeLayers layers =
      whole ? ProbeLayers{0, model_.layer_count()} : ProbeLayers{first, first + count};
  auto findings = run_probes(model_, layers, make_batch(data_, {&window, 1}));
  findings.push_back(probe_trailing_padding(data_));
  const bool passed = all_passed(findings);
  for (const auto& finding : findings) {
    passed ? observer_.detail(describe(finding)) : observer_.note(describe(finding));
  }
  if (passed) observer_.note(describe_passed(findings));
  require_passed(findings);
}

void TrainRun::measure_machine() {
  gemm_rate_ = gemm_rate_on(model_.device(), settings_.precision);
  if (!settings_.device.is_cpu()) {
    observer_.note(
        fmt::format("{}: {}", to_string(settings_.device), describe_device(settings_.device)));
  }
  observer_.note(fmt::format("matrix products run at {:.0f} GFLOP/s in {} with {} threads",
                             gemm_rate_, to_string(settings_.precision), at::get_num_threads()));
  if (!gradient_sum_.way().empty()) {
    observer_.note(fmt::format("gradients of {} processes are summed by {}", group_.size(),
                               gradient_sum_.way()));
  }
  if (!gradient_sum_.reason().empty()) {
    observer_.warn(gradient_sum_.reason() + "; gradients go through the host");
  }
  if (model_.device().is_cpu() && gemm_rate_ < kSlowGemmRate) {
    observer_.warn(fmt::format("matrix products run at {:.0f} GFLOP/s only (expected {} or more)",
                               gemm_rate_, kSlowGemmRate));
  }
}

// Several processes stop at the same step: where the last sums say that one was told to.
bool TrainRun::interrupted() const {
  return group_.alone() ? interrupt_.requested() : stop_agreed_;
}

void TrainRun::stop_if_interrupted() {
  if (!interrupted()) return;
  if (saved_step_ != record_.step || record_.step == 0) save();
  throw Error(ErrorCode::cancelled,
              fmt::format("training: interrupted at step {} of {}; train state saved in {}",
                          record_.step, settings_.steps, quote(settings_.run_folder.string())),
              "the same command with --resume continues");
}

void TrainRun::finish_skipped_step() {
  organ_.tensors().gradient.zero_();
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

std::int64_t rows_at_once(const TrainSettings& settings, at::Device device) {
  if (!device.is_cpu()) return settings.batch;
  return std::clamp<std::int64_t>(kTokensAtOnce / settings.context, 1, settings.batch);
}

}  // namespace

// The windows of a step that this process computes.
std::span<const std::int64_t> TrainRun::own_share(std::span<const std::int64_t> windows) const {
  const auto rank = static_cast<std::size_t>(group_.rank());
  const auto size = static_cast<std::size_t>(group_.size());
  const std::size_t begin = windows.size() * rank / size;
  return windows.subspan(begin, windows.size() * (rank + 1) / size - begin);
}

// Adds the gradient of the mean loss over the windows; returns the sum of the NLL.
double TrainRun::accumulate_gradients(std::span<const std::int64_t> windows, double targets) {
  double nll = 0;
  const auto rows = static_cast<std::size_t>(rows_at_once(settings_, model_.device()));
  for (std::size_t at = 0; at < windows.size(); at += rows) {
    const auto some = windows.subspan(at, std::min(rows, windows.size() - at));
    nll += trained_stack_
               .accumulate_gradient(inputs_.inputs(some), make_batch(data_, some), 1 / targets)
               .nll;
  }
  return nll;
}

void TrainRun::update_weights(StepMetrics& metrics) {
  const FlatTensors tensors = organ_.tensors();
  metrics.gradient_norm = global_norm(tensors.gradient);
  metrics.rate = schedule_.at(record_.step);
  metrics.skipped = !std::isfinite(metrics.loss) || !std::isfinite(metrics.gradient_norm);
  if (metrics.skipped) return finish_skipped_step();
  const auto threads = static_cast<unsigned>(at::get_num_threads());
  record_.skipped_in_a_row = 0;
  adamw_step(tensors, organ_.runs(), settings_.adamw, metrics.rate, ++record_.updates,
             clip_factor(metrics.gradient_norm, settings_.clip_norm), threads);
  if (average_.defined()) average_step(average_, tensors.master, settings_.ema, threads);
  last_loss_ = metrics.loss;
}

void TrainRun::step() {
  const auto start = std::chrono::steady_clock::now();
  const std::uint64_t flops = kernels::product_flops();
  StepMetrics metrics;
  metrics.windows = order_.step(record_.step, settings_.rows_per_step());
  for (const auto window : metrics.windows) metrics.targets += data_.targets_in(window);
  const double targets = static_cast<double>(std::max<std::int64_t>(1, metrics.targets));
  const double nll = accumulate_gradients(own_share(metrics.windows), targets);
  std::array<double, 3> sums = {nll, interrupt_.requested() ? 1.0 : 0.0,
                                static_cast<double>(kernels::product_flops() - flops)};
  organ_.finish_gradient();
  group_.sum(sums);
  gradient_sum_.sum(organ_.tensors().gradient);
  metrics.loss = sums[0] / targets;
  stop_agreed_ = sums[1] > 0;
  update_weights(metrics);
  metrics.step = ++record_.step;
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  const auto tokens = static_cast<double>(settings_.rows_per_step() * data_.context());
  metrics.seconds = elapsed.count();
  metrics.tokens_per_second = tokens / metrics.seconds;
  metrics.gflops = sums[2] / metrics.seconds / 1e9;
  metrics.gemm_share = metrics.gflops / (gemm_rate_ * group_.size());
  if (log_) log_->write(metrics);
  observer_.step(metrics, settings_.steps);
}

// Of the text: a row may be longer than its window.
double TrainRun::flops_per_token() const {
  return trained_stack_.flops_per_row(data_.row_length(), data_.source_length()) /
         static_cast<double>(data_.context());
}

std::uint64_t TrainRun::milliseconds() const {
  const auto elapsed = std::chrono::steady_clock::now() - start_;
  return record_.milliseconds +
         static_cast<std::uint64_t>(
             std::chrono::duration_cast<std::chrono::milliseconds>(elapsed).count());
}

bool TrainRun::finished() const {
  return record_.step >= settings_.steps ||
         (settings_.patience > 0 && record_.evaluations_without_gain >= settings_.patience);
}

void TrainRun::train() {
  while (true) {
    stop_if_interrupted();
    if (evaluation_due()) evaluate();
    if (record_.step % settings_.save_every == 0 && saved_step_ != record_.step) save();
    if (finished()) return;
    step();
  }
}

TrainResult TrainRun::run() {
  measure_machine();
  prove_model();
  resume_or_start();
  TrainResult result;
  try {
    if (held_out_) measure_untouched(result);
    train();
  } catch (const Error&) {
    // What is done so far can be resumed.
    if (gradient_sum_.broken() && saved_step_ != record_.step) save();
    throw;
  }
  result.stopped_early = record_.step < settings_.steps;
  if (saved_step_ != record_.step) save();
  choose_published(result);
  organ_.round_to_stored_types(checkpoint_);
  if (held_out_) {
    result.after = measure(whole_stack_, *held_out_inputs_);
    log_evaluation(*result.after);
    if (settings_.mode == TrainMode::wrapper) {
      result.wrapper = measure(trained_stack_, *held_out_embeddings_);
    }
  }
  result.tensors = organ_.collect();
  result.flops_per_token = flops_per_token();
  result.prefix = prefix_use();
  result.steps = record_.step;
  result.skipped = record_.skipped;
  result.milliseconds = milliseconds();
  result.last_loss = last_loss_;
  return result;
}

TrainResult run_training(const format::Checkpoint& checkpoint, const TrainSettings& settings,
                         const Dataset& data, const Dataset* held_out, TrainObserver& observer,
                         const MakeTrained& make_trained) {
  check_settings(settings);
  require_task(checkpoint.architecture(), data);
  if (data.task() == Task::spans && settings.mode == TrainMode::wrapper) {
    throw Error(ErrorCode::incompatible,
                "--mode wrapper: layers of an encoder-decoder do not stand between embedding and "
                "head alone, the decoder reads what the encoder made",
                "--mode in_situ trains them where they are");
  }
  if (held_out) check_disjoint(data, *held_out);
  if (!held_out && settings.evaluate_every > 0) {
    throw Error(ErrorCode::invalid_argument, "--evaluate-every: there is no held-out data",
                "give --held-out FILES or --held-out-share SHARE too");
  }
  const auto place = process_place([](const char* name) { return std::getenv(name); });
  if (place && settings.rows_per_step() < place->size) {
    fail(ErrorCode::invalid_argument,
         "--batch x --accumulate: {} windows for {} processes, expected one or more for each",
         settings.rows_per_step(), place->size);
  }
  const c10::NoGradGuard no_grad;
  keep_large_blocks();
  const at::Device device = open_device(own_device(settings.device, place));
  use_threads(settings.threads, static_cast<unsigned>(place ? place->local_size : 1));
  ProcessGroup group = place ? ProcessGroup(*place) : ProcessGroup();
  WarningsOnly warnings(observer);
  TrainObserver& heard = group.writes_files() ? observer : warnings;
  TrainResult result;
  with_device_errors(device, [&] {
    result =
        TrainRun(checkpoint, settings, device, data, held_out, heard, group, make_trained).run();
  });
  result.writes_files = group.writes_files();
  return result;
}

TrainResult train_layers(const format::Checkpoint& checkpoint, const TrainSettings& settings,
                         const Dataset& data, const Dataset* held_out, TrainObserver& observer) {
  return run_training(checkpoint, settings, data, held_out, observer, [&](Model& model) {
    return std::make_unique<FlatLayers>(model, settings.layers, settings.decay_all);
  });
}

}  // namespace organ::train
