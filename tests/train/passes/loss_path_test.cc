// SPDX-License-Identifier: Apache-2.0
#include "tests/train/support/doctest.h"

#include "train/passes/loss_path.h"

#include <ATen/Parallel.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include "tests/train/support/fixture.h"
#include "train/optimize/flat_layers.h"
#include "train/passes/run_layers.h"

namespace organ::test {
namespace {

using train::Activations;
using train::Model;
using train::Precision;

// The most bytes that tensors of this thread held at once while one lives.
class PeakBytes {
 public:
  PeakBytes()
      : counter_(std::make_shared<Counter>()),
        guard_(c10::DebugInfoKind::PROFILER_STATE, counter_) {}
  std::int64_t value() const { return counter_->peak; }

 private:
  struct Counter : c10::MemoryReportingInfoBase {
    void reportMemoryUsage(void*, std::int64_t size, std::size_t, std::size_t,
                           c10::Device) override {
      held += size;
      peak = std::max(peak, held);
    }
    bool memoryProfilingEnabled() const override { return true; }
    std::int64_t held = 0, peak = 0;
  };
  std::shared_ptr<Counter> counter_;
  c10::DebugInfoGuard guard_;
};

struct Pass {
  double nll = 0;
  std::vector<float> gradient;
  std::int64_t peak_bytes = 0;
};

Pass run(const Fixture& fixture, Precision precision, Activations activations) {
  Model model = Model::load(fixture.checkpoint, {.precision = precision});
  const std::uint64_t count = std::min<std::uint64_t>(2, model.architecture().layer_count());
  const std::int64_t first = model.place_of(0), last = model.place_of(count);
  train::FlatLayers organ(model, fixture.checkpoint, {0, count}, false);
  train::LossPath stack(model, first, last, model.layer_count(), activations);
  at::Tensor x = train::stack_input(model, fixture.batch);
  Pass pass;
  const PeakBytes peak;
  pass.nll = stack.accumulate_gradient(std::move(x), fixture.batch, 0.01).nll;
  pass.peak_bytes = peak.value();
  const auto gradient = organ.view().gradient;
  pass.gradient.assign(gradient.begin(), gradient.end());
  return pass;
}

}  // namespace

TEST_CASE("recomputed activations change no bit of loss and gradients and need less memory") {
  at::set_num_threads(1);  // the memory of other threads is not counted
  for (const std::string& name : fixture_names()) {
    for (const Precision precision : {Precision::fp32, Precision::bf16}) {
      CAPTURE(name);
      // With a stack of two the lower one, so that several layers run.
      const Fixture fixture(name, name.starts_with("t5") ? "encoder" : "");
      const Pass kept = run(fixture, precision, Activations::kept);
      const Pass recomputed = run(fixture, precision, Activations::recomputed);
      CHECK(kept.nll == recomputed.nll);
      CHECK(kept.gradient == recomputed.gradient);
      CHECK(recomputed.peak_bytes < kept.peak_bytes);
    }
  }
}

}  // namespace organ::test
