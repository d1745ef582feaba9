// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/internal/train_run.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/core.h>

#include "format/base/fail.h"
#include "train/kernels/product.h"
#include "train/model/model_access.h"
#include "train/passes/batches.h"
#include "train/probes/finding.h"
#include "train/probes/finite_tensor.h"
#include "train/processes/row_shares.h"
#include "train/trainer/internal/run_identity.h"

namespace organ::train {
namespace {

constexpr std::uint64_t kMaxSkippedInARow = 3;

Model open_model(const TrainInputs& inputs, at::Device device) {
  if (inputs.model != nullptr) return ModelAccess::share(*inputs.model);
  return Model::load(inputs.checkpoint, {.precision = inputs.settings.precision, .device = device});
}

LossPath make_path(Model& model, const TrainSettings& settings, TrainMode mode,
                   const TrainedParameters& trained) {
  const std::int64_t first = model.place_of(settings.layers.first);
  const std::int64_t last = first + trained.trained_layers();
  return {model, first, last, mode == TrainMode::in_situ ? model.layer_count() : last,
          settings.recompute_activations ? Activations::recomputed : Activations::kept};
}

std::int64_t layers_below(const Model& model, const TrainSettings& settings) {
  return settings.mode == TrainMode::in_situ ? model.place_of(settings.layers.first) : 0;
}

std::optional<CacheFolder> open_cache(const TrainInputs& inputs) {
  const TrainSettings& settings = inputs.settings;
  if (settings.cache_folder.empty()) return std::nullopt;
  return CacheFolder(settings.cache_folder, settings.cache_bytes, inputs.checkpoint.permissions(),
                     [&inputs](std::string_view line) { inputs.observer.warn(line); });
}

// Reads each tensor once.
WeightDigests read_digests(const TrainInputs& inputs, const Device& device, bool cached) {
  const auto threads = static_cast<unsigned>(at::get_num_threads());
  const auto lines = format::tensor_lines(inputs.checkpoint, inputs.work.with_threads(threads));
  WeightDigests digests{format::weights_digest(lines)};
  inputs.observer.detail(fmt::format("the model's weights are {}", digests.all.to_string()));
  if (cached) {
    digests.below = prefix_digest(inputs.checkpoint, lines, inputs.settings.layers.first,
                                  inputs.settings.precision, device);
  }
  return digests;
}

// How the streams that enter layer `below` of the model are kept; `folder` may be null.
PrefixOptions prefix_options(const WeightDigests& digests, CacheFolder* folder, std::int64_t below,
                             bool rounded, std::uint64_t memory_bytes) {
  PrefixOptions options{.layers_below = below, .rounded = rounded, .memory_bytes = memory_bytes};
  if (folder == nullptr || below == 0) return options;
  options.folder = folder;
  options.prefix = digests.below;
  return options;
}

// Windows that are drawn anew in each epoch enter the organ as other streams each time: kept, they
// would only take the place of streams that come back.
bool drawn_anew(const TrainInputs& inputs) {
  return inputs.settings.draw == TaskDraw::each_epoch &&
         inputs.data.training.task() != Task::next_token;
}

// The streams of training and held-out data share one bound in memory.
std::uint64_t held_out_share(const TrainInputs& inputs) {
  if (!inputs.data.held_out) return 0;
  return drawn_anew(inputs) ? inputs.settings.cache_bytes : inputs.settings.cache_bytes / 4;
}

std::uint64_t training_share(const TrainInputs& inputs) {
  return drawn_anew(inputs) ? 0 : inputs.settings.cache_bytes - held_out_share(inputs);
}

// On a CPU the matrix products are at full speed from about a thousand tokens on; more at once
// only leave the caches and cost memory.
constexpr std::int64_t kTokensAtOnce = 1024;

std::int64_t rows_at_once(const TrainSettings& settings, at::Device device) {
  if (!device.is_cpu()) return settings.batch;
  return std::clamp<std::int64_t>(kTokensAtOnce / settings.context, 1, settings.batch);
}

std::int64_t targets_in(const Batch& batch) {
  const auto* targets = batch.targets.const_data_ptr<std::int64_t>();
  return std::count_if(targets, targets + batch.tokens(), [](std::int64_t id) { return id >= 0; });
}

}  // namespace

TrainRun::TrainRun(const TrainInputs& inputs, const RunDevice& device, ProcessGroup& group,
                   const MakeTrained& make_trained)
    : checkpoint_(inputs.checkpoint),
      settings_(inputs.settings),
      data_(inputs.data.training),
      observer_(inputs.observer),
      device_(device.named),
      group_(group),
      gradient_sum_(group, device.opened),
      start_(std::chrono::steady_clock::now()),
      model_(open_model(inputs, device.opened)),
      trained_(make_trained(model_)),
      weights_(*trained_, settings_.ema),
      trained_path_(make_path(model_, settings_, settings_.mode, *trained_)),
      whole_path_(make_path(model_, settings_, TrainMode::in_situ, *trained_)),
      cache_(open_cache(inputs)),
      digests_(read_digests(inputs, device_, cache_.has_value())),
      inputs_(model_, data_.windows(),
              prefix_options(digests_, cache_ && !drawn_anew(inputs) ? &*cache_ : nullptr,
                             layers_below(model_, settings_),
                             settings_.precision == Precision::bf16, training_share(inputs))),
      order_(settings_.seed, data_.windows(), settings_.draw),
      schedule_{settings_.schedule, settings_.rate,
                warmup_steps(settings_.warmup_share, settings_.steps), settings_.steps} {
  record_.identity = run_identity(inputs, digests_.all,
                                  c10::DeviceTypeName(device.opened.type(), /*lower_case=*/true));
  if (!inputs.data.held_out) return;
  // Never rounded: the figures are those of `organ eval`.
  const std::int64_t below = model_.place_of(settings_.layers.first);
  held_out_.emplace(
      model_, *inputs.data.held_out, whole_path_,
      prefix_options(digests_, cache_ ? &*cache_ : nullptr, below, false, held_out_share(inputs)),
      settings_.batch, group_);
}

// Several processes stop at the same step: where the last sums say that one was told to.
bool TrainRun::interrupted() const {
  return group_.alone() ? observer_.stop_requested() : stop_agreed_;
}

void TrainRun::stop_if_interrupted() {
  if (!interrupted()) return;
  if (saved_step_ != record_.step || record_.step == 0) save(Saving::at_once);
  writer_.finish();
  throw Error(ErrorCode::cancelled,
              fmt::format("training: interrupted at step {} of {}; train state saved in {}",
                          record_.step, settings_.steps, quote(settings_.run_folder.string())),
              "the same command with --resume continues");
}

void TrainRun::finish_skipped_step() {
  trained_->tensors().gradient.zero_();
  ++record_.skipped;
  ++record_.skipped_in_a_row;
  observer_.warn(fmt::format("step {}: loss or gradient is not finite; parameters left as they are",
                             record_.step + 1));
}

void TrainRun::give_up() {
  // The saved state must not stop again at once: resuming gets its three tries.
  record_.skipped_in_a_row = 0;
  save(Saving::at_once);
  throw Error(ErrorCode::device,
              fmt::format("training: loss or gradient not finite {} steps in a row, up to step {}",
                          kMaxSkippedInARow, record_.step),
              fmt::format("the last good parameters are in {}; try a smaller --lr",
                          quote(settings_.run_folder.string())));
}

// Every row of a step is built here and nowhere else; `own` are this process's rows.
std::vector<TrainRun::Pass> TrainRun::make_passes(std::span<const std::int64_t> windows,
                                                  std::span<const std::uint64_t> epochs,
                                                  std::span<const std::size_t> own) const {
  std::vector<Pass> passes;
  const auto rows = static_cast<std::size_t>(rows_at_once(settings_, model_.device()));
  for (std::size_t at = 0; at < own.size(); at += rows) {
    Pass pass;
    std::vector<std::uint64_t> of_epochs;
    for (const std::size_t row : own.subspan(at, std::min(rows, own.size() - at))) {
      pass.windows.push_back(windows[row]);
      of_epochs.push_back(epochs[row]);
    }
    pass.batch = make_batch(data_, pass.windows, of_epochs);
    passes.push_back(std::move(pass));
  }
  return passes;
}

// Of a step over all processes; `passes` are of this one's `own` rows.
std::int64_t TrainRun::targets_of(std::span<const std::int64_t> windows,
                                  std::span<const std::uint64_t> epochs,
                                  std::span<const std::size_t> own,
                                  const std::vector<Pass>& passes) const {
  std::int64_t targets = 0;
  for (const Pass& pass : passes) targets += targets_in(pass.batch);
  for (std::size_t row = 0; row < windows.size(); ++row) {
    if (std::binary_search(own.begin(), own.end(), row)) continue;
    targets += data_.targets_in(windows[row], epochs[row]);
  }
  return targets;
}

// Adds the gradient of the mean loss over the passes; returns the sum of the NLL.
double TrainRun::accumulate_gradients(const std::vector<Pass>& passes, double targets) {
  double nll = 0;
  for (const Pass& pass : passes) {
    nll +=
        trained_path_
            .accumulate_gradient(inputs_.inputs(pass.windows, pass.batch), pass.batch, 1 / targets)
            .nll;
  }
  return nll;
}

void TrainRun::update_weights(StepMetrics& metrics) {
  const FlatTensors tensors = trained_->tensors();
  const auto threads = static_cast<unsigned>(at::get_num_threads());
  metrics.gradient_norm = global_norm(tensors.gradient, threads);
  metrics.rate = schedule_.at(record_.step);
  metrics.skipped = !std::isfinite(metrics.loss) || !std::isfinite(metrics.gradient_norm);
  if (metrics.skipped) return finish_skipped_step();
  record_.skipped_in_a_row = 0;
  adamw_step(tensors, trained_->runs(), settings_.adamw, metrics.rate, ++record_.updates,
             clip_factor(metrics.gradient_norm, settings_.clip_norm), threads);
  weights_.follow(record_.updates, threads);
  last_loss_ = metrics.loss;
}

void TrainRun::step() {
  const auto start = std::chrono::steady_clock::now();
  const std::uint64_t flops = kernels::product_flops();
  StepMetrics metrics;
  metrics.windows = order_.step(record_.step, settings_.rows_per_step());
  const auto epochs = order_.epochs(record_.step, settings_.rows_per_step());
  const auto own = rows_of_process(metrics.windows, group_.rank(), group_.size());
  const std::vector<Pass> passes = make_passes(metrics.windows, epochs, own);
  metrics.targets = targets_of(metrics.windows, epochs, own, passes);
  const double targets = static_cast<double>(std::max<std::int64_t>(1, metrics.targets));
  const double nll = accumulate_gradients(passes, targets);
  std::array<double, 3> sums = {nll, observer_.stop_requested() ? 1.0 : 0.0,
                                static_cast<double>(kernels::product_flops() - flops)};
  trained_->finish_gradient();
  group_.sum(sums);
  gradient_sum_.sum(trained_->tensors().gradient);
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
  if (record_.skipped_in_a_row >= kMaxSkippedInARow) give_up();
}

// Of the text: a row may be longer than its window.
double TrainRun::flops_per_token() const {
  return trained_path_.flops_per_row(data_.row_length(), data_.source_length()) /
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

HeldOut::BeforePass TrainRun::before_pass() {
  return [this](std::int64_t done, std::int64_t total) {
    stop_if_interrupted();
    observer_.measuring(done, total);
  };
}

HeldOutLoss TrainRun::held_out_loss() {
  HeldOutLoss loss = held_out_->loss(before_pass());
  log_evaluation(loss);
  return loss;
}

void TrainRun::log_evaluation(const HeldOutLoss& loss) {
  const EvaluationMetrics metrics{record_.step, loss.nll, loss.targets};
  if (log_) log_->write(metrics);
  observer_.evaluation(metrics);
}

void TrainRun::measure_untouched(TrainResult& result) {
  if (record_.untouched_nll) {
    result.before = HeldOutLoss{*record_.untouched_nll, held_out_->targets()};
    return;
  }
  HeldOutPart own;  // of several processes each would save but its own
  HeldOutPart& part = group_.alone() ? record_.untouched_part : own;
  if (!held_out_->fits(part)) {
    observer_.warn("train state: its part of the measurement before is not of these data");
    part = {};
  }
  trained_->set_aside(true);
  result.before = held_out_->loss(before_pass(), part);
  log_evaluation(*result.before);
  trained_->set_aside(false);
  record_.untouched_part = {};
  record_.untouched_nll = result.before->nll;
}

void TrainRun::measure_trained(TrainResult& result) {
  result.after = held_out_loss();
  if (settings_.mode == TrainMode::wrapper) {
    result.wrapper = held_out_->wrapper_loss(trained_path_, before_pass());
  }
}

// With patience the last weights are candidates too.
bool TrainRun::evaluation_due() const {
  if (!held_out_ || settings_.evaluate_every == 0 || record_.step == 0) return false;
  if (record_.evaluated_step == record_.step) return false;
  return record_.step < settings_.steps ? record_.step % settings_.evaluate_every == 0
                                        : settings_.patience > 0;
}

void TrainRun::evaluate() {
  weights_.put_candidate_in_place();
  const HeldOutLoss loss = held_out_loss();
  record_.evaluated_step = record_.step;
  ++record_.evaluations_without_gain;
  if (std::isfinite(loss.nll) && (!record_.best_nll || loss.nll < *record_.best_nll)) {
    record_.best_nll = loss.nll;
    record_.best_step = record_.step;
    record_.evaluations_without_gain = 0;
    if (settings_.patience > 0) weights_.keep_best();
  }
  weights_.put_trained_in_place(record_.updates);
}

bool TrainRun::save_due() const {
  return settings_.save_every > 0 && record_.step % settings_.save_every == 0 &&
         saved_step_ != record_.step;
}

void TrainRun::train() {
  while (true) {
    stop_if_interrupted();
    if (evaluation_due()) evaluate();
    if (save_due()) save(Saving::beside);
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
    if (gradient_sum_.broken() && saved_step_ != record_.step) save(Saving::at_once);
    throw;
  }
  result.stopped_early = record_.step < settings_.steps;
  if (saved_step_ != record_.step) save(Saving::at_once);
  writer_.finish();
  result.published = weights_.publish();
  result.published_step =
      result.published == PublishedWeights::best ? record_.best_step : record_.step;
  trained_->round_to_stored_types(checkpoint_);
  if (held_out_) measure_trained(result);
  result.tensors = trained_->collect();
  for (const auto& tensor : result.tensors) result.trainable += tensor.values.size();
  result.device = device_;
  result.run_folder = run_folder_;
  result.flops_per_token = flops_per_token();
  result.prefix = prefix_use();
  result.steps = record_.step;
  result.skipped = record_.skipped;
  result.milliseconds = milliseconds();
  result.last_loss = last_loss_;
  return result;
}

}  // namespace organ::train
