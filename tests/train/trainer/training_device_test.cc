// SPDX-License-Identifier: Apache-2.0
// The optimiser and whole training runs off the CPU, against the CPU.
#include "tests/train/support/doctest.h"

#include <bit>
#include <limits>
#include <numeric>

#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/GradMode.h>
#include <nlohmann/json.hpp>

#include "tests/support/data.h"
#include "tests/support/support.h"
#include "tests/support/test_device.h"
#include "tests/train/support/fixture.h"
#include "tests/train/support/run_texts.h"
#include "train/machine/gemm_rate_on.h"
#include "train/model/adapter_binding.h"
#include "train/optimize/flat_layers.h"
#include "train/optimize/flat_optimizer.h"
#include "train/passes/run_layers.h"
#include "train/trainer/internal/train_run.h"

namespace organ::test {
namespace {

using train::FlatTensors;
using train::Precision;

constexpr std::int64_t kNumbers = 70001;

at::Tensor random(double scale) {
  static const at::Generator generator = at::detail::createCPUGenerator(3);
  return at::randn({kNumbers}, generator) * scale;
}

FlatTensors on(const FlatTensors& t, at::Device device) {
  const auto copy = [&](const at::Tensor& x) { return x.to(device, x.scalar_type(), false, true); };
  return {copy(t.master), copy(t.first_moment), copy(t.second_moment), copy(t.gradient),
          copy(t.working)};
}

FlatTensors some_parameters() {
  const at::Tensor master = random(0.02);
  return {master, random(1e-3), random(1e-3).square(), random(0.1), master.to(at::kBFloat16)};
}

}  // namespace

TEST_CASE("working weights are rounded with the same dice, bit by bit") {
  FlatTensors host = some_parameters();
  const std::vector<float> odd = {0.0f,
                                  -0.0f,
                                  1.0f,
                                  -1.00390625f,
                                  1e-40f,
                                  3.4e38f,
                                  std::numeric_limits<float>::infinity(),
                                  -std::numeric_limits<float>::infinity(),
                                  std::bit_cast<float>(0x7f800001u),
                                  std::bit_cast<float>(0xffffffffu)};
  std::copy(odd.begin(), odd.end(), host.master.data_ptr<float>());
  const FlatTensors device = on(host, test_device());
  for (const std::uint64_t update : {0ull, 1ull, 1000ull, (1ull << 32) + 5}) {
    CAPTURE(update);
    train::round_working(host, update);
    train::round_working(device, update);
    CHECK(device.working.cpu().view(at::kShort).equal(host.working.view(at::kShort)));
  }
  const FlatTensors plain{host.master, {}, {}, {}, host.master};  // fp32: there is no copy to round
  train::composed::round_working(plain, 1);
  CHECK(plain.working.is_same(plain.master));
}

TEST_CASE("AdamW, the norm of gradients and averages equal the CPU's") {
  FlatTensors host = some_parameters();
  const FlatTensors device = on(host, test_device());
  const at::Tensor average = host.master.clone(), moved = average.to(test_device());
  const std::vector<train::ParameterRun> runs = {
      {0, 40000, true}, {40000, 1, false}, {40001, 29999, true}, {70000, 1, false}};
  for (std::uint64_t update = 1; update <= 4; ++update) {
    CAPTURE(update);
    host.gradient.copy_(random(0.1));
    device.gradient.copy_(host.gradient);
    CHECK(train::global_norm(device.gradient, 1) ==
          doctest::Approx(train::global_norm(host.gradient, 1)).epsilon(1e-6));
    train::adamw_step(host, runs, {.weight_decay = 0.1}, 1e-2, update, 0.3, 2);
    train::adamw_step(device, runs, {.weight_decay = 0.1}, 1e-2, update, 0.3, 2);
    train::average_step(average, host.master, 0.9, 2);
    train::average_step(moved, device.master, 0.9, 2);
    CHECK(relative_error(device.master.cpu(), host.master) < 1e-6);
    CHECK(relative_error(device.first_moment.cpu(), host.first_moment) < 1e-6);
    CHECK(relative_error(device.second_moment.cpu(), host.second_moment) < 1e-6);
    CHECK(relative_error(moved.cpu(), average) < 1e-6);
    CHECK(device.gradient.cpu().count_nonzero().item<std::int64_t>() == 0);
    // A last bit of a master may turn a die.
    const at::Tensor same = device.working.cpu().eq(host.working);
    CHECK(same.sum().item<std::int64_t>() > kNumbers * 99 / 100);
  }
  // At rate 0 no bit of a number changes, not the sign of a zero either.
  host.gradient.copy_(random(0.1));
  host.master[7] = -0.0f;
  device.master.copy_(host.master);
  device.gradient.copy_(host.gradient);
  train::adamw_step(host, runs, {.weight_decay = 0.1}, 0, 5, 0.3, 2);
  const at::Tensor before = device.master.cpu().clone();
  train::adamw_step(device, runs, {.weight_decay = 0.1}, 0, 5, 0.3, 2);
  CHECK(device.master.cpu().view(at::kInt).equal(before.view(at::kInt)));
  CHECK(relative_error(device.first_moment.cpu(), host.first_moment) < 1e-6);
  CHECK(relative_error(device.second_moment.cpu(), host.second_moment) < 1e-6);
  moved.copy_(device.master);
  train::average_step(moved, device.master, 0.9, 2);
  CHECK(moved.cpu().view(at::kInt).equal(before.view(at::kInt)));
  host.gradient[5] = std::numeric_limits<float>::quiet_NaN();
  CHECK(std::isnan(train::global_norm(host.gradient.to(test_device()), 1)));
}

namespace {

namespace fs = std::filesystem;

struct Silent final : train::TrainObserver {
  void note(std::string_view) override {}
  void warn(std::string_view line) override { warnings.emplace_back(line); }
  void step(const train::StepMetrics& m, std::uint64_t) override { losses.push_back(m.loss); }
  void evaluation(const train::EvaluationMetrics& m) override { held_out.push_back(m.nll); }
  std::vector<double> losses, held_out;
  std::vector<std::string> warnings;
};

struct Trained {
  train::TrainResult result;
  Silent heard;
};

class Runs {
 public:
  explicit Runs(const std::string& model)
      : fixture_(model), data_(letter_run_data(folder_.path())) {
    settings_.layers = {1, 1};
    settings_.context = 16;
    settings_.batch = 2;
    settings_.steps = 6;
    settings_.save_every = 3;
    settings_.evaluate_every = 2;
    settings_.patience = 100;
    settings_.ema = 0.5;
    settings_.rate = 1e-2;
  }

  train::TrainSettings& settings() { return settings_; }

  Trained run(at::Device device, const std::string& name, bool resume = false) {
    const c10::NoGradGuard no_grad;
    settings_.run_folder = folder_.path() / name;
    settings_.resume = resume;
    Trained trained;
    train::ProcessGroup alone;
    trained.result =
        train::TrainRun({fixture_.checkpoint, settings_, data_, trained.heard}, {{}, device}, alone,
                        [&](train::Model& model) {
                          return std::make_unique<train::FlatLayers>(model, fixture_.checkpoint,
                                                                     settings_.layers, false);
                        })
            .run();
    return trained;
  }
  fs::path folder(const std::string& name) const { return folder_.path() / name; }

 private:
  TempFolder folder_ = scratch();
  Fixture fixture_;
  train::RunData data_;
  train::TrainSettings settings_;
};

at::Tensor tensor_of(const train::TrainedTensor& trained) {
  return at::tensor(at::ArrayRef<float>(trained.values.data(), trained.values.size()));
}

void check_close(const Trained& ours, const Trained& expected, double limit) {
  REQUIRE(ours.heard.losses.size() == expected.heard.losses.size());
  for (std::size_t i = 0; i < ours.heard.losses.size(); ++i) {
    CHECK(ours.heard.losses[i] == doctest::Approx(expected.heard.losses[i]).epsilon(limit));
  }
  REQUIRE(ours.result.tensors.size() == expected.result.tensors.size());
  for (std::size_t i = 0; i < ours.result.tensors.size(); ++i) {
    CAPTURE(ours.result.tensors[i].name);
    CHECK(relative_error(tensor_of(ours.result.tensors[i]), tensor_of(expected.result.tensors[i])) <
          100 * limit);
  }
  CHECK(ours.result.after->nll == doctest::Approx(expected.result.after->nll).epsilon(limit));
  CHECK(ours.result.published_step == expected.result.published_step);
}

double distance(const train::TrainedTensor& a, const train::TrainedTensor& b) {
  return (tensor_of(a).to(at::kDouble) - tensor_of(b).to(at::kDouble)).norm().item<double>();
}

// In bf16 a device is as far from the fp32 run `exact` as the CPU is, which is less than half as
// far as weights that never trained.
void check_rounded(Runs& runs, const Trained& exact) {
  runs.settings().precision = Precision::bf16;
  const Trained host = runs.run(at::kCPU, "host16"), device = runs.run(test_device(), "device16");
  REQUIRE(host.result.published_step == exact.result.published_step);
  REQUIRE(device.result.published_step == exact.result.published_step);
  for (std::size_t i = 0; i < exact.heard.losses.size(); ++i) {
    CHECK(device.heard.losses[i] == doctest::Approx(host.heard.losses[i]).epsilon(1e-2));
  }
  runs.settings().rate = 0;
  const Trained donor = runs.run(at::kCPU, "untrained16");
  runs.settings().rate = 1e-2;
  for (std::size_t i = 0; i < exact.result.tensors.size(); ++i) {
    const train::TrainedTensor& right = exact.result.tensors[i];
    CAPTURE(right.name);
    const double rounding = distance(host.result.tensors[i], right);
    CHECK(rounding < distance(donor.result.tensors[i], right) / 2);
    CHECK(distance(device.result.tensors[i], right) < 2 * rounding);
  }
}

}  // namespace

TEST_CASE("a run on a device trains as one on the CPU does") {
  // Not GPT-2: its key biases have no gradient but rounding, of which AdamW makes full steps.
  for (const char* model : {"llama", "qwen3", "gpt_oss"}) {
    const std::string name = model;
    CAPTURE(name);
    Runs runs(model);
    runs.settings().precision = Precision::fp32;
    const Trained host = runs.run(at::kCPU, "host");
    check_close(runs.run(test_device(), "device"), host, 1e-5);
    runs.settings().recompute_activations = true;
    check_close(runs.run(test_device(), "recomputed"), host, 1e-5);
    runs.settings().recompute_activations = false;
    check_rounded(runs, host);
  }
}

namespace {

// As an organ left it that recorded no identity.
void forget_identity(const fs::path& record) {
  nlohmann::json document = nlohmann::json::parse(read_file(record, 1 << 20));
  document.erase("identity");
  write_file(record, document.dump());
}

}  // namespace

TEST_CASE("a run that began on the CPU goes on on a device, and the other way round") {
  Runs runs("llama");
  runs.settings().precision = Precision::fp32;
  runs.settings().ema = 0;  // of a state without an identity it is refused
  const Trained straight = runs.run(at::kCPU, "straight");
  const at::Device devices[] = {at::kCPU, test_device()};
  for (const int first : {0, 1}) {
    CAPTURE(first);
    const std::string name = "resumed" + std::to_string(first);
    (void)runs.run(devices[first], name);
    for (const char* ending : {".json", ".safetensors"}) {
      CHECK(fs::remove(runs.folder(name) / ("step-000000006" + std::string(ending))));
    }
    const auto refused = error_of([&] { (void)runs.run(devices[1 - first], name, true); });
    CHECK(refused.find("other device than the train state of step 3: device: got ") !=
          std::string::npos);
    CHECK(refused.find(first == 0 ? "expected cpu" : "got cpu") != std::string::npos);
    forget_identity(runs.folder(name) / "step-000000003.json");
    const Trained rest = runs.run(devices[1 - first], name, /*resume=*/true);
    CHECK(rest.heard.losses.size() == 3);
    CHECK(rest.heard.losses.back() == doctest::Approx(straight.heard.losses.back()).epsilon(1e-5));
    CHECK(rest.result.after->nll == doctest::Approx(straight.result.after->nll).epsilon(1e-5));
  }
}

namespace {

fs::path adapter_folder(const std::string& name) { return test_data() / "adapters" / name; }

struct AdaptedPass {
  AdaptedPass(const std::string& base, const std::string& name, at::Device device) {
    Fixture fixture(base);
    train::Batch& batch = fixture.batch;  // its rows as the documents of one
    batch.first_key =
        at::arange(batch.rows, at::kInt).mul_(batch.length).repeat_interleave(batch.length);
    batch.length = batch.tokens();
    batch.rows = 1;
    const auto adapter =
        train::read_adapter(adapter_folder(name), fixture.checkpoint.architecture());
    train::Model model = train::Model::load(fixture.checkpoint, {.device = device});
    const auto buffers = train::make_buffers(adapter, model, true);
    train::bind_adapter(model, adapter, buffers);
    train::LossPath stack(model, 0, model.layer_count(), model.layer_count());
    loss = stack.accumulate_gradient(train::embed_and_run(model, batch, 0, 0), batch, 0.01).nll;
    gradient = buffers.gradient.cpu();
  }
  double loss = 0;
  at::Tensor gradient;
};

}  // namespace

TEST_CASE("adapted models train on a device as on the CPU") {
  const std::vector<std::pair<std::string, std::string>> cases = {{"llama", "lora"},
                                                                  {"gpt_oss", "lora_gpt_oss"},
                                                                  {"llama", "ia3"},
                                                                  {"gpt2", "ia3_gpt2"},
                                                                  {"llama_odd", "bottleneck"},
                                                                  {"gpt2", "prompt_gpt2"},
                                                                  {"mistral", "prompt_mistral"},
                                                                  {"gpt2", "prefix_gpt2"},
                                                                  {"gpt_oss", "prefix_gpt_oss"}};
  for (const auto& [base, adapter] : cases) {
    const std::string& name = adapter;
    CAPTURE(name);
    const AdaptedPass expected(base, name, at::kCPU), pass(base, name, test_device());
    CHECK(pass.loss == doctest::Approx(expected.loss).epsilon(1e-6));
    CHECK(relative_error(pass.gradient, expected.gradient) < 1e-4);
  }
}

TEST_CASE("a whole model trains on a device as on the CPU") {
  for (const char* name : {"llama", "gpt2"}) {  // its head apart, and tied
    CAPTURE(name);
    const Fixture fixture(name);
    const auto gradient_on = [&](at::Device device) {
      train::Model model = train::Model::load(fixture.checkpoint, {.device = device});
      std::vector<std::uint64_t> layers(model.architecture().layer_count());
      std::iota(layers.begin(), layers.end(), 0);
      const train::FlatLayers organ(model, fixture.checkpoint, layers, false, train::Ends::trained);
      train::LossPath stack(model, 0, model.layer_count(), model.layer_count());
      stack.accumulate_gradient(train::embed_and_run(model, fixture.batch, 0, 0), fixture.batch,
                                0.01);
      return organ.tensors().gradient.cpu();
    };
    CHECK(relative_error(gradient_on(test_device()), gradient_on(at::kCPU)) < 1e-4);
  }
}

TEST_CASE("the rate of matrix products of a device is measured") {
  CHECK(train::gemm_rate_on(test_device(), Precision::fp32) > 0);
}

}  // namespace organ::test
