// SPDX-License-Identifier: Apache-2.0
// Times one in-situ training step: forward from the cached input of the lowest trained layer, head
// and loss, backward down to that layer. Prints one JSON line.
//   train_step MODEL FIRST LAST fp32|bf16 ROWS LENGTH STEPS [THREADS]
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/core.h>

#include "format/base/error.h"
#include "format/checkpoint/checkpoint.h"
#include "train/machine/memory.h"
#include "train/model/model.h"
#include "train/passes/run_layers.h"

namespace organ::train {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A step's phases, seconds.
struct Phases {
  double forward = 0, head = 0, frozen_backward = 0, trained_backward = 0;
  double total() const { return forward + head + frozen_backward + trained_backward; }
};

class Bench {
 public:
  Bench(Model& model, std::int64_t first, std::int64_t last, std::int64_t rows, std::int64_t length)
      : model_(model), first_(first), last_(last) {
    batch_.rows = rows;
    batch_.length = length;
    batch_.ids = at::randint(0, model.vocab_size(), {batch_.tokens()}, at::kLong);
    batch_.targets = batch_.ids.roll(-1);
    const auto type = model.precision() == Precision::bf16 ? at::kBFloat16 : at::kFloat;
    gradient_ = at::zeros({(last - first) * model.layer_elements()}, at::kFloat);
    working_ = at::zeros(gradient_.sizes(), type);
    for (std::int64_t i = first; i < last; ++i) {
      const std::int64_t offset = (i - first) * model.layer_elements();
      model.bind_layer(i, {working_.narrow(0, offset, model.layer_elements()),
                           gradient_.narrow(0, offset, model.layer_elements())});
    }
    prefix_ = embed_and_run(model, batch_, 0, first);
  }

  Phases step() {
    gradient_.zero_();
    ModelBatch open = model_.open(batch_);
    const std::int64_t layers = model_.layer_count();
    std::vector<LayerTapePtr> tapes(static_cast<std::size_t>(layers));
    Phases phases;
    auto start = Clock::now();
    at::Tensor x = prefix_, dx;
    for (std::int64_t i = first_; i < layers; ++i) {
      x = model_.forward_layer(i, x, open, &tapes[static_cast<std::size_t>(i)]);
    }
    phases.forward = seconds_since(start);
    start = Clock::now();
    loss_ = model_.head_loss(x, batch_, 1.0 / static_cast<double>(batch_.tokens()), &dx);
    x.reset();
    phases.head = seconds_since(start);
    start = Clock::now();
    for (std::int64_t i = layers - 1; i >= first_; --i) {
      if (i == last_ - 1) {
        phases.frozen_backward = seconds_since(start);
        start = Clock::now();
      }
      dx = model_.backward_layer(i, dx, std::move(tapes[static_cast<std::size_t>(i)]), open,
                                 i > first_);
    }
    phases.trained_backward = seconds_since(start);
    return phases;
  }

  double mean_loss() const { return loss_.nll / static_cast<double>(loss_.targets); }
  std::int64_t tokens() const { return batch_.tokens(); }

 private:
  Model& model_;
  std::int64_t first_, last_;
  Batch batch_;
  at::Tensor gradient_, working_, prefix_;
  LossSum loss_;
};

int run(char** argument) {
  keep_large_blocks();
  const auto number = [&](int i) { return std::strtoll(argument[i], nullptr, 10); };
  if (argument[8] != nullptr) at::set_num_threads(static_cast<int>(number(8)));
  const auto checkpoint = format::Checkpoint::open(argument[1]);
  const Precision precision =
      std::string_view(argument[4]) == "bf16" ? Precision::bf16 : Precision::fp32;
  Model model = Model::load(checkpoint, {.precision = precision});
  Bench bench(model, number(2), number(3), number(5), number(6));
  bench.step();
  std::vector<Phases> steps;
  const std::clock_t cpu_start = std::clock();
  for (std::int64_t i = 0; i < number(7); ++i) steps.push_back(bench.step());
  // Processor time of all threads: comparable between runs on a machine that is shared.
  const double cpu_seconds = static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC;
  std::sort(steps.begin(), steps.end(),
            [](const Phases& a, const Phases& b) { return a.total() < b.total(); });
  const Phases& median = steps[steps.size() / 2];
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print(
      "{{\"tokens_per_second\": {:.0f}, \"best\": {:.0f}, \"forward\": {:.3f}, \"head\": {:.3f}, "
      "\"frozen_backward\": {:.3f}, \"trained_backward\": {:.3f}, \"peak_gb\": {:.2f}, "
      "\"tokens_per_cpu_second\": {:.0f}, \"loss\": {:.4f}}}\n",
      static_cast<double>(bench.tokens()) / median.total(),
      static_cast<double>(bench.tokens()) / steps.front().total(), median.forward, median.head,
      median.frozen_backward, median.trained_backward,
      static_cast<double>(usage.ru_maxrss) * 1024 / 1e9,
      static_cast<double>(bench.tokens()) * static_cast<double>(steps.size()) / cpu_seconds,
      bench.mean_loss());
  return 0;
}

}  // namespace
}  // namespace organ::train

int main(int argc, char** argv) {
  if (argc < 8) {
    fmt::print(stderr,
               "usage: train_step MODEL FIRST LAST fp32|bf16 ROWS LENGTH STEPS [THREADS]\n");
    return 2;
  }
  try {
    return organ::train::run(argv);
  } catch (const organ::Error& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return organ::exit_code(error.code());
  }
}
