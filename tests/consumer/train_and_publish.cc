// SPDX-License-Identifier: Apache-2.0
// Trains three layers of a model on text files, writes them as a signed organ and publishes it in a
// new registry.
//
//   train_and_publish MODEL_FOLDER SCRATCH_FOLDER FILE...
#include <csignal>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <organ/format/organ/organ_source.h>
#include <organ/format/signature/signing.h>
#include <organ/registry/registry.h>
#include <organ/train/data/run_data.h>
#include <organ/train/trainer/organ_output.h>
#include <organ/train/trainer/train_state.h>
#include <organ/train/trainer/trainer.h>

namespace {

namespace fs = std::filesystem;

// Names that organ's headers must leave to us.
void quote(std::string_view line) { std::cout << "> " << line << '\n'; }
void fail(const organ::Error& error) { std::cerr << error.what() << '\n' << error.hint() << '\n'; }

volatile std::sig_atomic_t interrupted = 0;

// Shows how far signing and publishing are, and ends them after Ctrl-C.
class Meter : public organ::Progress {
 public:
  void begin(std::string_view phase, std::uint64_t total, organ::Unit /*unit*/) override {
    std::cout << phase << ": " << total << '\n';
  }
  void advance(std::uint64_t /*amount*/) override {}  // comes from several threads
  bool cancelled() const override { return interrupted != 0; }
};

class Watcher : public organ::train::TrainObserver {
 public:
  void note(std::string_view line) override { quote(line); }
  void warn(std::string_view line) override { quote(line); }
  void step(const organ::train::StepMetrics& metrics, std::uint64_t total) override {
    std::cout << "step " << metrics.step << " of " << total << ": loss " << metrics.loss << '\n';
  }
  void evaluation(const organ::train::EvaluationMetrics& metrics) override {
    std::cout << "held out: " << metrics.nll << " nats per token\n";
  }
  // The run saves a train state, ends with ErrorCode::cancelled and goes on with settings.resume.
  bool stop_requested() const override { return interrupted != 0; }
};

organ::train::TrainSettings settings_of(const organ::format::Checkpoint& model,
                                        const fs::path& scratch) {
  organ::train::TrainSettings settings;
  settings.layers = organ::format::LayerRange::middle_third(model.architecture().layer_count());
  settings.precision = organ::train::Precision::fp32;
  settings.context = 32;
  settings.batch = 2;
  settings.steps = 4;
  settings.rate = 1e-3;
  settings.seed = 7;
  settings.machine.threads = 1;
  settings.run_folder = scratch / "run";
  organ::train::check_settings(settings);
  return settings;
}

void train_organ(const std::string& model, const fs::path& scratch,
                 const std::vector<fs::path>& files) {
  const auto checkpoint = organ::format::Checkpoint::open(model);
  const auto settings = settings_of(checkpoint, scratch);
  organ::train::RunDataOptions options;
  options.training.texts.assign(files.begin(), files.end());
  options.context = settings.context;
  options.packing = settings.packing;
  options.seed = settings.seed;
  const auto data = organ::train::read_run_data(checkpoint, options);

  Watcher watcher;
  const organ::train::TrainInputs inputs{checkpoint, settings, data, watcher};
  const auto result = organ::train::train_layers(inputs);
  organ::train::OrganIdentity identity;
  identity.name = "example/trained";
  identity.version = "1.0.0";
  identity.donor_id = "a model of the example";
  organ::train::write_organ({inputs, result}, identity, scratch / "trained");
  organ::train::remove_train_states(settings.run_folder);  // nothing is left to resume
}

void publish(const fs::path& folder, const fs::path& scratch) {
  const auto key = organ::format::SecretKey::generate(organ::format::Curve::p256);
  Meter meter;
  const organ::Work work(&meter);
  organ::format::sign_folder(organ::format::OrganFolder::open(folder), key, false, work);
  organ::registry::CreateOptions create;
  create.trusted = {{"example/*", key.public_key()}};
  organ::registry::Registry::create(scratch / "registry", create);
  auto registry =
      organ::registry::Registry::open(scratch / "registry", organ::registry::Registry::Mode::write);
  const auto signed_organ = organ::format::OrganFolder::open(folder);
  const auto& manifest = signed_organ.manifest();
  const auto published = registry.publish(
      signed_organ, manifest.name, organ::format::Version::parse(manifest.version), {}, work);
  const auto report = registry.verify_all();
  std::cout << published.name << ':' << published.version << " is " << published.digest.to_string()
            << ", " << report.versions << " version verified\n";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "train_and_publish MODEL_FOLDER SCRATCH_FOLDER FILE...\n";
    return 2;
  }
  std::signal(SIGINT, [](int) { interrupted = 1; });
  try {
    const fs::path scratch = argv[2];
    train_organ(argv[1], scratch, {argv + 3, argv + argc});
    publish(scratch / "trained", scratch);
    return 0;
  } catch (const organ::Error& error) {
    fail(error);
    return organ::exit_code(error.code());
  } catch (const std::exception& error) {  // memory that is not there
    std::cerr << error.what() << '\n';
    return 1;
  }
}
