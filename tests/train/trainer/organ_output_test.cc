// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/organ_output.h"

#include "tests/train/support/doctest.h"

#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "format/checkpoint/checkpoint.h"
#include "format/organ/organ_source.h"
#include "tests/support/checkpoint_maker.h"
#include "tests/support/support.h"
#include "tests/support/watcher.h"
#include "tests/train/support/run_texts.h"
#include "train/trainer/recovered_checkpoint.h"

namespace organ::test {
namespace {

struct Silent final : train::TrainObserver {
  void note(std::string_view) override {}
  void warn(std::string_view) override {}
  void step(const train::StepMetrics&, std::uint64_t) override {}
  void evaluation(const train::EvaluationMetrics&) override {}
};

nlohmann::json wide_config() {
  nlohmann::json config = small_config();
  config["hidden_size"] = 768;
  config["intermediate_size"] = 2048;
  return config;
}

// As if every number of the layers had trained and stayed as it was.
train::TrainResult untrained(const format::Checkpoint& checkpoint, format::LayerRange layers) {
  train::TrainResult result;
  for (std::uint64_t layer = layers.first; layer < layers.first + layers.count; ++layer) {
    for (const format::LayerTensor& tensor : checkpoint.architecture().tensors()) {
      std::size_t numbers = 1;
      for (const std::uint64_t size : tensor.shape) numbers *= size;
      const auto values = std::make_shared<std::vector<float>>(numbers, 0.5f);
      result.tensors.push_back({layer, tensor.name, *values, values});
    }
  }
  return result;
}

const format::FileEntry& first_layer(const format::Manifest& manifest) {
  return *std::ranges::find(manifest.files, format::FileRole::layer, &format::FileEntry::role);
}

// Private memory of this process, bytes.
std::uint64_t data_bytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word != "VmData:") continue;
    std::uint64_t kilobytes = 0;
    status >> kilobytes;
    return kilobytes << 10;
  }
  FAIL("no VmData");
  return 0;
}

// While one lives the process may take so many bytes more; what asks for more fails.
class MemoryLimit {
 public:
  explicit MemoryLimit(std::uint64_t bytes) {
    ::malloc_trim(0);
    REQUIRE(::getrlimit(RLIMIT_DATA, &old_) == 0);
    rlimit limit = old_;
    limit.rlim_cur = data_bytes() + bytes;
    REQUIRE(::setrlimit(RLIMIT_DATA, &limit) == 0);
  }
  ~MemoryLimit() { ::setrlimit(RLIMIT_DATA, &old_); }
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;

 private:
  rlimit old_{};
};

// Of layers of a model that was made for it; only borrowed by `run`.
struct UntrainedRun {
  UntrainedRun(const nlohmann::json& config, format::LayerRange layers)
      : checkpoint(open(config)), result(untrained(checkpoint, layers)) {
    settings.layers = layers;
  }
  format::Checkpoint open(const nlohmann::json& config) const {
    make_checkpoint(folder.path() / "model", config);
    return format::Checkpoint::open(folder.path() / "model");
  }

  TempFolder folder = scratch();
  format::Checkpoint checkpoint;
  train::RunData data = letter_run_data(folder.path());
  Silent observer;
  train::TrainSettings settings;
  train::TrainResult result;
  train::TrainInputs inputs{checkpoint, settings, data, observer};
  train::TrainedRun run{inputs, result};
};

}  // namespace

TEST_CASE("writing a trained organ tells its bytes, and ended at any step leaves nothing behind") {
  const UntrainedRun made(small_config(), {1, 2});
  const train::TrainedRun& run = made.run;
  const std::filesystem::path& folder = made.folder.path();
  Watcher watcher;
  train::write_organ(run, {}, folder / "watched", Work(&watcher));
  CHECK(watcher.names() == std::vector<std::string>{"writing"});
  check_phases(watcher);
  const auto organ_steps = end_at_every_step(
      folder, [&](const Work& work) { train::write_organ(run, {}, folder / "organ", work); });
  CHECK(organ_steps > 5);
  const auto copy_steps = end_at_every_step(folder, [&](const Work& work) {
    train::write_recovered_checkpoint(run, folder / "recovered", work);
  });
  CHECK(copy_steps > 1);
}

TEST_CASE("of a trained organ one layer at a time is held while it is written") {
  const UntrainedRun made(wide_config(), {0, 4});
  const train::TrainedRun& run = made.run;
  const std::filesystem::path& folder = made.folder.path();
  // Threads and what is kept for good are made here.
  const format::Manifest before = train::write_organ(run, {}, folder / "warm");
  const std::uint64_t layer_bytes = first_layer(before).size;
  // What is not the layer's: the pieces that are written and hashed, the stack of a thread.
  constexpr std::uint64_t kBeside = std::uint64_t{16} << 20;
  REQUIRE(layer_bytes > kBeside);  // two layers are too many
  const auto write = [&](std::uint64_t memory) {
    const MemoryLimit limit(memory);
    return train::write_organ(run, {}, folder / "limited");
  };
  const format::Manifest limited = write(layer_bytes + kBeside);
  CHECK(first_layer(limited).digest == first_layer(before).digest);
}

}  // namespace organ::test
