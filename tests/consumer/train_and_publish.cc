// SPDX-License-Identifier: Apache-2.0
// Trains three layers of a model on texts, writes them as a signed organ and publishes it in a new
// registry: version 1.0.0 as a program does that is given files and is done after one run, 1.1.0 as
// a host that has the texts in memory and asks more than one thing of a model that it loads once.
// The two are the same run, so their weights are the same.
//
//   train_and_publish MODEL_FOLDER SCRATCH_FOLDER FILE...
#include <csignal>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <organ/format/organ/organ_source.h>
#include <organ/format/signature/signing.h>
#include <organ/registry/registry.h>
#include <organ/train/data/run_data.h>
#include <organ/train/evaluate/measure_checkpoint.h>
#include <organ/train/generate/generation.h>
#include <organ/train/model/loaded_model.h>
#include <organ/train/passes/sequence.h>
#include <organ/train/tokenizer/tokenizer.h>
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
                                        const fs::path& run_folder) {
  organ::train::TrainSettings settings;
  settings.layers = organ::format::LayerRange::middle_third(model.architecture().layer_count());
  settings.precision = organ::train::Precision::fp32;
  settings.context = 32;
  settings.batch = 2;
  settings.steps = 4;
  settings.rate = 1e-3;
  settings.seed = 7;
  settings.machine.threads = 1;
  settings.run_folder = run_folder;
  organ::train::check_settings(settings);
  return settings;
}

organ::train::RunDataOptions reading_of(const organ::train::TrainSettings& settings) {
  organ::train::RunDataOptions options;
  options.context = settings.context;
  options.packing = settings.packing;
  options.seed = settings.seed;
  return options;
}

void write_version(const organ::train::TrainedRun& run, const std::string& version,
                   const fs::path& out) {
  organ::train::OrganIdentity identity;
  identity.name = "example/trained";
  identity.version = version;
  identity.donor_id = "a model of the example";
  organ::train::write_organ(run, identity, out);
  organ::train::remove_train_states(run.inputs.settings.run_folder);  // nothing is left to resume
}

void train_from_files(const std::string& model, const std::vector<fs::path>& files,
                      const fs::path& out) {
  const auto checkpoint = organ::format::Checkpoint::open(model);
  const auto settings = settings_of(checkpoint, out.string() + ".run");
  auto options = reading_of(settings);
  options.training.texts.assign(files.begin(), files.end());
  const auto data = organ::train::read_run_data(checkpoint, options);

  Watcher watcher;
  const organ::train::TrainInputs inputs{checkpoint, settings, data, watcher};
  const auto result = organ::train::train_layers(inputs);
  write_version({inputs, result}, "1.0.0", out);
}

using Texts = std::vector<std::pair<std::string, std::string>>;  // with a name each

Texts texts_of(const std::vector<fs::path>& files) {
  Texts texts;
  for (const auto& path : files) {
    std::ifstream file(path, std::ios::binary);
    texts.emplace_back(path.filename().string(),
                       std::string(std::istreambuf_iterator<char>(file), {}));
  }
  return texts;
}

// What its own weights make of a text, and how it goes on: nothing is loaded.
void ask(const organ::train::LoadedModel& model, const Texts& texts) {
  organ::train::MeasuredDataOptions options;
  options.source.texts = {
      organ::train::TextSource::in_memory(texts.front().first, texts.front().second)};
  options.context = 32;
  const auto measured = organ::train::read_measured_data(model.checkpoint(), options);
  organ::train::EvaluationOptions windows;
  windows.context = windows.stride = options.context;
  const auto figure = organ::train::measure_model(model, measured.data, windows);
  std::cout << "untouched: " << figure.result.nll() << " nats per token\n";

  const auto tokenizer = organ::train::Tokenizer::open(model.checkpoint().folder());
  const auto prompt = tokenizer.encode("What is", true);
  const std::uint64_t last = prompt.size() - 1;
  const auto logits = organ::train::logits_of(model, prompt, {&last, 1});
  organ::train::Generator generator(model);
  const auto written =
      generator.run(prompt, {.max_tokens = 4}, [](std::int32_t /*id*/) { return true; });
  std::cout << "of " << logits.size() << " tokens it goes on with";
  for (const std::int32_t id : written.ids) std::cout << ' ' << id;
  std::cout << '\n';
}

void train_from_memory(const std::string& folder, const Texts& texts, const fs::path& out) {
  auto checkpoint = organ::format::Checkpoint::open(folder);
  const auto settings = settings_of(checkpoint, out.string() + ".run");
  const auto model =
      organ::train::LoadedModel::load(std::move(checkpoint), settings.precision, settings.machine);
  ask(model, texts);
  Watcher watcher;

  auto options = reading_of(settings);
  for (const auto& [name, text] : texts) {
    options.training.texts.push_back(organ::train::TextSource::in_memory(name, text));
  }
  const auto data = organ::train::read_run_data(model.checkpoint(), options);
  const organ::train::TrainInputs inputs{model.checkpoint(), settings, data, watcher, &model};
  const auto result = organ::train::train_layers(inputs);
  write_version({inputs, result}, "1.1.0", out);
  ask(model, texts);  // it is what it was
}

void publish(const std::vector<fs::path>& folders, const fs::path& scratch) {
  const auto key = organ::format::SecretKey::generate(organ::format::Curve::p256);
  Meter meter;
  const organ::Work work(&meter);
  organ::registry::CreateOptions create;
  create.trusted = {{"example/*", key.public_key()}};
  organ::registry::Registry::create(scratch / "registry", create);
  auto registry =
      organ::registry::Registry::open(scratch / "registry", organ::registry::Registry::Mode::write);
  for (const auto& folder : folders) {
    organ::format::sign_folder(organ::format::OrganFolder::open(folder), key, false, work);
    const auto signed_organ = organ::format::OrganFolder::open(folder);
    const auto& manifest = signed_organ.manifest();
    const auto published = registry.publish(
        signed_organ, manifest.name, organ::format::Version::parse(manifest.version), {}, work);
    std::cout << published.name << ':' << published.version << " is "
              << published.digest.to_string() << '\n';
  }
  std::cout << registry.verify_all().versions << " versions verified\n";
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
    const std::vector<fs::path> files(argv + 3, argv + argc);
    train_from_files(argv[1], files, scratch / "trained");
    train_from_memory(argv[1], texts_of(files), scratch / "trained-again");
    publish({scratch / "trained", scratch / "trained-again"}, scratch);
    return 0;
  } catch (const organ::Error& error) {
    fail(error);
    return organ::exit_code(error.code());
  } catch (const std::exception& error) {  // memory that is not there
    std::cerr << error.what() << '\n';
    return 1;
  }
}
