// SPDX-License-Identifier: Apache-2.0
// What a run does before its first step, and what it keeps between its steps: the proof of its
// model, the speed of its machine, the train state that it starts from and leaves.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "format/base/fail.h"
#include "train/kernels/dispatch.h"
#include "train/machine/device.h"
#include "train/machine/gemm_rate.h"
#include "train/machine/gemm_rate_on.h"
#include "train/machine/software.h"
#include "train/passes/batches.h"
#include "train/probes/data_probes.h"
#include "train/probes/finding.h"
#include "train/probes/finite_tensor.h"
#include "train/probes/model_probes.h"
#include "train/probes/padding_ids.h"
#include "train/trainer/internal/run_folder_lock.h"
#include "train/trainer/internal/run_identity.h"
#include "train/trainer/internal/train_run.h"

namespace organ::train {
namespace {

// Layer numbers of two stacks do not mean the same layers.
Digest model_identity(const format::Checkpoint& checkpoint) {
  const Digest config = checkpoint.config_digest();
  const std::string_view stack = checkpoint.architecture().stack();
  return stack.empty() ? config : sha256(fmt::format("{} {}", config.to_string(), stack));
}

// `to` undefined: no numbers.
void copy_buffer(std::string_view name, std::vector<float>& from, const at::Tensor& to) {
  const auto size = static_cast<std::int64_t>(from.size());
  const std::int64_t expected = to.defined() ? to.numel() : 0;
  if (size != expected) {
    fail(ErrorCode::corrupt, "train state: tensor '{}' has {} numbers, expected {}", name, size,
         expected);
  }
  if (size > 0) to.copy_(at::from_blob(from.data(), {size}, at::TensorOptions().dtype(at::kFloat)));
}

std::span<const float> floats_or_none(const at::Tensor& host) {
  return host.defined() ? std::span<const float>(host_floats(host)) : std::span<const float>();
}

// On the CPU the tensor itself.
at::Tensor on_host(const at::Tensor& tensor) { return tensor.defined() ? tensor.cpu() : tensor; }

}  // namespace

void TrainRun::prove_model() {
  const std::int64_t window = data_.fullest_window();
  const bool whole = settings_.mode == TrainMode::in_situ;
  const std::int64_t first = model_.place_of(settings_.layers.first);
  const auto count = static_cast<std::int64_t>(settings_.layers.count);
  const ProbeLayers layers =
      whole ? ProbeLayers{0, model_.layer_count()} : ProbeLayers{first, first + count};
  const auto padding = padding_ids(checkpoint_);
  auto findings = run_probes(model_, layers, make_batch(data_, {&window, 1}), padding);
  findings.push_back(probe_trailing_padding(data_.stream(), padding));
  name_tensor(findings, checkpoint_);
  const bool passed = all_passed(findings);
  for (const auto& finding : findings) {
    passed ? observer_.detail(describe(finding)) : observer_.note(describe(finding));
  }
  if (passed) observer_.note(describe_passed(findings));
  require_passed(findings);
}

void TrainRun::measure_machine() {
  gemm_rate_ = gemm_rate_on(model_.device(), settings_.precision);
  if (!device_.is_cpu()) {
    observer_.note(fmt::format("{}: {}", to_string(device_), describe_device(device_)));
  }
  observer_.note(fmt::format("matrix products run at {} GFLOP/s in {} with {}",
                             rate_text(gemm_rate_), to_string(settings_.precision),
                             counted(at::get_num_threads(), "thread")));
  if (!gradient_sum_.way().empty()) {
    observer_.note(fmt::format("gradients of {} are summed by {}",
                               counted(group_.size(), "process"), gradient_sum_.way()));
  }
  if (!gradient_sum_.reason().empty()) {
    observer_.warn(gradient_sum_.reason() + "; gradients go through the host");
  }
  if (model_.device().is_cpu() && gemm_rate_ < kSlowGemmRate) {
    observer_.warn(fmt::format("matrix products run at {} GFLOP/s only (expected {} or more)",
                               rate_text(gemm_rate_), kSlowGemmRate));
  }
}

void TrainRun::resume_or_start() {
  if (group_.writes_files()) {
    // Who asks is heard from now on: an end leaves a train state, not a folder with nothing in it.
    static_cast<void>(observer_.stop_requested());
    run_folder_ = lock_run_folder(settings_.run_folder,
                                  [this](std::string_view line) { observer_.warn(line); });
  }
  record_.seed = settings_.seed;
  record_.config_digest = settings_digest(settings_, model_identity(checkpoint_));
  record_.data_digests = {data_.stream().digest()};
  record_.software = software_versions(device_);
  if (!settings_.resume) require_no_train_state(settings_.run_folder);
  std::vector<std::string> skipped;
  auto state = load_newest_train_state(settings_.run_folder, skipped);
  for (const auto& line : skipped) observer_.warn("train state left out: " + line);
  require_savable(record_);
  if (state) restore(*state);
  if (!state && settings_.resume) observer_.note("no train state to resume: starting at step 0");
  saved_step_ = record_.step;
  require_agreement();
  if (!group_.writes_files()) return;
  log_.emplace(settings_.run_folder, record_.step,
               record_.untouched_nll ? std::optional(record_.evaluated_step) : std::nullopt);
  if (log_->empty()) log_start();
}

// Nothing is written before every process has read the same train state, or none.
void TrainRun::require_agreement() {
  Sha256Hasher hasher;
  hasher.update(record_.config_digest.to_string());
  hasher.update(common_digest(record_.identity).to_string());
  for (const auto& digest : record_.data_digests) hasher.update(digest.to_string());
  const Digest digest = hasher.finish();
  std::vector<double> facts(digest.bytes().begin(), digest.bytes().end());
  facts.push_back(static_cast<double>(record_.step));
  if (group_.agree(facts)) return;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("process {} of {}: another process has other settings, data or train "
                          "state",
                          group_.rank(), group_.size()),
              "start all with the same command and files, --run-dir on a file system they share");
}

void TrainRun::log_start() {
  log_->write(RunMetrics{.packing = std::string(to_string(settings_.packing)),
                         .context = data_.context(),
                         .windows = data_.windows(),
                         .tokens = data_.tokens(),
                         .filled_share = data_.filled_share(),
                         .gemm_gflops = gemm_rate_});
}

void TrainRun::require_same(const TrainStateRecord& saved) {
  if (saved.identity.empty()) {
    observer_.note(require_same_older_run(saved, record_, settings_, held_out_.has_value()));
    return;
  }
  RunIdentity expected = saved.identity;
  // Of several processes the first one's device is recorded.
  const std::string device(kDeviceAxis);
  if (!group_.writes_files()) expected[device] = record_.identity.at(device);
  require_same_run(expected, record_.identity, saved.step);
}

void TrainRun::restore(TrainState& state) {
  require_same(state.record);
  // Of several processes the first one's software and device are recorded.
  if (group_.writes_files() && !same_software(state.record.software, record_.software)) {
    observer_.warn(
        "--resume: the train state comes from other versions, another device or another "
        "instruction set; bits may differ");
  }
  const FlatTensors tensors = trained_->tensors();
  copy_buffer("master", state.master, tensors.master);
  copy_buffer("first_moment", state.first_moment, tensors.first_moment);
  copy_buffer("second_moment", state.second_moment, tensors.second_moment);
  copy_buffer("average", state.average, weights_.average());
  if (settings_.patience > 0 && !state.best.empty()) {
    copy_buffer("best", state.best, weights_.make_best());
  }
  state.record.identity = record_.identity;
  record_ = state.record;
  weights_.put_trained_in_place(record_.updates);
  observer_.note(fmt::format("resumed at step {} of {}", record_.step, settings_.steps));
}

// A device's numbers are copied to the host anyway, and written while it computes on. On the CPU
// there would be a second copy of all, for processors that have their hands full.
void TrainRun::save(Saving when) {
  TrainStateRecord record = record_;
  record.milliseconds = milliseconds();
  saved_step_ = record_.step;
  if (!group_.writes_files()) return;
  const FlatTensors tensors = trained_->tensors();
  const at::Tensor master = on_host(weights_.training()), average = on_host(weights_.average());
  const at::Tensor first = on_host(tensors.first_moment), second = on_host(tensors.second_moment);
  const at::Tensor best = on_host(weights_.best());
  log_->sync();
  const auto threads = static_cast<unsigned>(at::get_num_threads());
  const auto write = [=, folder = settings_.run_folder, permissions = checkpoint_.permissions()] {
    save_train_state(folder, record,
                     {host_floats(master), host_floats(first), host_floats(second),
                      floats_or_none(average), floats_or_none(best), permissions},
                     threads);
  };
  writer_.finish();
  if (when == Saving::beside && !model_.device().is_cpu()) {
    writer_.start(write);
  } else {
    write();
  }
}

PrefixUse TrainRun::prefix_use() {
  std::array<double, 3> use = {0, 0, static_cast<double>(cache_ ? cache_->damaged() : 0)};
  const auto add = [&](const PrefixCounts& counts) {
    use[0] += static_cast<double>(counts.computed);
    use[1] += static_cast<double>(counts.read);
  };
  add(inputs_.counts());
  if (held_out_) add(held_out_->counts());
  group_.sum(use);
  return {static_cast<std::uint64_t>(use[0]), static_cast<std::uint64_t>(use[1]),
          static_cast<std::uint64_t>(use[2])};
}

}  // namespace organ::train
