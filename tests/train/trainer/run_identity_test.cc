// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/internal/run_identity.h"

#include <fstream>
#include <functional>

#include <doctest/doctest.h>

#include "format/base/file.h"
#include "format/checkpoint/tensor_digests.h"
#include "tests/support/data.h"
#include "tests/support/support.h"
#include "tests/train/support/letter_tokenizer.h"
#include "train/tokenizer/tokenizer.h"

namespace organ::train {
namespace {

namespace fs = std::filesystem;

struct Silent final : TrainObserver {
  void note(std::string_view) override {}
  void warn(std::string_view) override {}
  void step(const StepMetrics&, std::uint64_t) override {}
  void evaluation(const EvaluationMetrics&) override {}
};

// All that a run is asked for; each test changes one thing of it.
struct Asked {
  Asked() {
    fs::copy(test::test_data() / "train" / "llama", model);
    test::write_letter_tokenizer(model);
    write("a.txt", "abcdefg\n\nhijk lmno");
    write("b.txt", "some other\n\nwords");
    data.training = {{folder.path() / "a.txt"}, {}};
    data.held_out = {{folder.path() / "b.txt"}, {}};
    data.split = DocumentSplit::blank_lines;
    data.context = settings.context = 8;
    settings.layers = {1, 1};
    settings.steps = 10;
    settings.rate = 1e-3;
  }

  void write(const std::string& name, std::string_view text) const {
    write_file(folder.path() / name, text);
  }
  void replace(const fs::path& file, const std::string& from, const std::string& to) const {
    std::string text = read_file(file, 1 << 20);
    REQUIRE(text.find(from) != std::string::npos);
    write_file(file, text.replace(text.find(from), from.size(), to));
  }
  // The lowest bit of the first number of a tensor.
  void flip(const std::string& tensor) const {
    const fs::path path = model / "model.safetensors";
    const auto file = format::SafetensorsFile::open(path);
    const auto at =
        static_cast<std::streamoff>(file.header().data_start + file.tensor(tensor).offset);
    std::fstream bytes(path, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekg(at);
    const char old = static_cast<char>(bytes.get());
    bytes.seekp(at);
    bytes.put(static_cast<char>(old ^ 1));
  }
  RunIdentity identity() const {
    const auto checkpoint = format::Checkpoint::open(model, stack);
    RunData run = read_run_data(checkpoint, data);
    if (lead_in) {
      run.training = Dataset::from_texts(data.training.texts, Tokenizer::open(model), 61,
                                         {.texts = {.split = data.split, .lead_in = {1}}});
    }
    Silent silent;
    const Digest weights = format::weights_digest(format::tensor_lines(checkpoint));
    return run_identity({checkpoint, settings, run, silent}, weights, device);
  }

  TempFolder folder = test::scratch();
  fs::path model = folder.path() / "model";
  TrainSettings settings;
  RunDataOptions data;
  std::string stack, device = "cpu";
  bool lead_in = false;
};

struct Change {
  std::string words;  // of the refusal
  std::function<void(Asked&)> make;
};

const std::vector<Change>& changes() {
  static const std::vector<Change> all = {
      {"settings than the train state of step 7: learning_rate: got 0.01, expected 0.001",
       [](Asked& a) { a.settings.rate = 0.01; }},
      {"settings than the train state of step 7: mode: got wrapper, expected in_situ",
       [](Asked& a) { a.settings.mode = TrainMode::wrapper; }},
      {": first_layer: got 0, expected 1",
       [](Asked& a) {
         a.settings.layers = {0, 1};
       }},
      {": layer_count: got 2, expected 1",
       [](Asked& a) {
         a.settings.layers = {1, 2};
       }},
      {": method: got {\"share\":0.5}, expected none",
       [](Asked& a) { a.settings.method = "{\"share\":0.5}"; }},
      {": precision: got fp32, expected bf16",
       [](Asked& a) { a.settings.precision = Precision::fp32; }},
      {": packing: got concat, expected ffd",
       [](Asked& a) { a.settings.packing = Packing::concat; }},
      {": context: got 4, expected 8", [](Asked& a) { a.settings.context = 4; }},
      {": batch: got 1, expected 4", [](Asked& a) { a.settings.batch = 1; }},
      {": accumulate: got 2, expected 1", [](Asked& a) { a.settings.accumulate = 2; }},
      {": steps: got 11, expected 10", [](Asked& a) { a.settings.steps = 11; }},
      {": schedule: got linear, expected cosine",
       [](Asked& a) { a.settings.schedule = ScheduleKind::linear; }},
      {": warmup_share: got 0.2", [](Asked& a) { a.settings.warmup_share = 0.2; }},
      {": beta1: got 0.8", [](Asked& a) { a.settings.adamw.beta1 = 0.8; }},
      {": beta2: got 0.9", [](Asked& a) { a.settings.adamw.beta2 = 0.9; }},
      {": epsilon: got 0.1", [](Asked& a) { a.settings.adamw.epsilon = 0.1; }},
      {": weight_decay: got 0.2", [](Asked& a) { a.settings.adamw.weight_decay = 0.2; }},
      {": decay_scope: got all, expected 2d", [](Asked& a) { a.settings.decay_all = true; }},
      {": clip_norm: got 2, expected 1", [](Asked& a) { a.settings.clip_norm = 2; }},
      {": ema: got 0.9, expected 0", [](Asked& a) { a.settings.ema = 0.9; }},
      {": seed: got 9, expected 0", [](Asked& a) { a.settings.seed = 9; }},
      {": evaluate_every: got 5, expected none",
       [](Asked& a) { a.settings.patience = 2, a.settings.evaluate_every = 5; }},
      {"other device than the train state of step 7: device: got cuda, expected cpu",
       [](Asked& a) { a.device = "cuda"; }},
      {"other model than the train state of step 7: config.json: got sha256:",
       [](Asked& a) { a.replace(a.model / "config.json", "1e-05", "1e-06"); }},
      {"other model than the train state of step 7: tensors: got sha256:",
       [](Asked& a) { a.flip("model.layers.0.mlp.up_proj.weight"); }},
      {": tensors: got sha256:", [](Asked& a) { a.flip("model.layers.1.mlp.up_proj.weight"); }},
      {": tensors: got sha256:", [](Asked& a) { a.flip("model.layers.2.mlp.up_proj.weight"); }},
      {": tensors: got sha256:", [](Asked& a) { a.flip("model.embed_tokens.weight"); }},
      {": tensors: got sha256:", [](Asked& a) { a.flip("lm_head.weight"); }},
      {"other tokenizer than the train state of step 7: tokenizer: got sha256:",
       [](Asked& a) {
         a.replace(a.model / "tokenizer.json", "\"vocab\": {", "\"vocab\": {\"zzz\": 60, ");
       }},
      {"other data than the train state of step 7: files of the training data: got sha256:",
       [](Asked& a) {
         a.write("a.txt", "abcdefg\n\nhijk lmno\n\npq");
         a.settings.steps = 11;  // follows from it
       }},
      {"other data than the train state of step 7: lead-in of the training data: got 1, expected "
       "none",
       [](Asked& a) { a.lead_in = true; }},
      {": end-of-sequence id behind the training documents: got none, expected 28",
       [](Asked& a) { fs::remove(a.model / "tokenizer_config.json"); }},
      {": files of the training data: got sha256:",
       [](Asked& a) { a.write("a.txt", "abcdefg\n\nhijk lmnp"); }},
      {": document starts of the training data: got sha256:",
       [](Asked& a) { a.data.split = DocumentSplit::file; }},
      {": files of the held-out data: got sha256:",
       [](Asked& a) { a.write("b.txt", "some other\n\nwordt"); }},
      {": files of the held-out data: got none, expected sha256:",
       [](Asked& a) { a.data.held_out = {}; }},
  };
  return all;
}

std::string refusal(const RunIdentity& saved, const RunIdentity& current) {
  return test::error_of([&] { require_same_run(saved, current, 7); });
}

}  // namespace

TEST_CASE("a run continues a train state that is of the same run on every axis, and no other") {
  const RunIdentity saved = Asked().identity();
  CHECK(refusal(saved, Asked().identity()) == "no error");
  for (const Change& change : changes()) {
    CAPTURE(change.words);
    Asked asked;
    change.make(asked);
    const RunIdentity current = asked.identity();
    CHECK(refusal(saved, current).starts_with("invalid_argument: --resume: other "));
    CHECK(refusal(saved, current).find(change.words) != std::string::npos);
    CHECK(refusal(current, saved).starts_with("invalid_argument: --resume: other "));
  }
}

TEST_CASE("what changes no number and no figure of a run may change") {
  Asked asked;
  asked.settings.machine.threads = 3;
  asked.settings.cache_bytes = 5;
  asked.settings.save_every = 0;
  asked.settings.recompute_activations = true;
  asked.settings.evaluate_every = 2;  // without patience
  CHECK(refusal(Asked().identity(), asked.identity()) == "no error");
}

TEST_CASE("rows of ids have their padding id as an axis even where no row ends in it") {
  const auto with = [](std::optional<std::int32_t> padding_id) {
    Asked asked;
    asked.data = {.padding_id = padding_id};
    const std::vector<std::int64_t> ids = {1, 2, 3, 4, 5, 6, 7, 8};
    const auto bytes = std::as_bytes(std::span(ids));
    const auto path = asked.folder.path() / "ids.safetensors";
    AtomicFile file(path);
    format::write_safetensors(
        file.fd(),
        {format::memory_source({"ids", format::DType::I64, {2, 4}, 0, bytes.size()}, bytes)}, {},
        "ids");
    file.commit();
    asked.data.training = {{}, path};
    return asked.identity();
  };
  CHECK(refusal(with({}), with({})) == "no error");
  CHECK(refusal(with({}), with(0)).find("padding id of the training data: got 0, expected none") !=
        std::string::npos);
  CHECK_FALSE(with({}).contains("tokenizer"));
}

TEST_CASE("the layers of an encoder are not those of the decoder") {
  Asked encoder, decoder;
  for (Asked* asked : {&encoder, &decoder}) {
    fs::copy(test::test_data() / "train" / "t5", asked->model,
             fs::copy_options::overwrite_existing | fs::copy_options::recursive);
    asked->stack = asked == &encoder ? "encoder" : "decoder";
    asked->replace(asked->model / "tokenizer.json", "\"y\"", "\"<extra_id_0>\"");
    asked->replace(asked->model / "tokenizer.json", "\"z\"", "\"<extra_id_1>\"");
  }
  CHECK(refusal(encoder.identity(), decoder.identity())
            .find("other model than the train state of step 7: stack: got decoder, expected "
                  "encoder") != std::string::npos);
}

TEST_CASE("a run of data from memory is the run of its files") {
  Asked asked;
  const RunIdentity files = asked.identity();
  const std::string training = "abcdefg\n\nhijk lmno", held_out = "some other\n\nwords";
  const auto with = [&](std::string_view text) {
    asked.data.training = {{TextSource::in_memory("a.txt", text)}, {}};
    asked.data.held_out = {{TextSource::in_memory("b.txt", held_out)}, {}};
    return asked.identity();
  };
  CHECK(with(training) == files);
  CHECK(refusal(files, with(training + "p")).find("files of the training data: got sha256:") !=
        std::string::npos);
}

TEST_CASE("equal weights are equal in other files") {
  const Asked asked;
  const RunIdentity one = asked.identity();
  const fs::path path = asked.model / "model.safetensors";
  {
    const auto file = format::SafetensorsFile::open(path);
    std::vector<format::TensorSource> sources;
    for (const auto& tensor : file.header().tensors) {
      sources.push_back(format::file_source(tensor, file, tensor));
    }
    AtomicFile written(path);
    format::write_safetensors(written.fd(), sources, {{"format", "pt"}, {"more", "words"}}, "copy");
    written.commit();
  }
  CHECK(refusal(one, asked.identity()) == "no error");
}

TEST_CASE("a state of an older organ continues by what it recorded, the rest is named") {
  TrainStateRecord saved, current;
  saved.step = current.step = 7;
  saved.config_digest = current.config_digest = sha256("settings");
  saved.data_digests = current.data_digests = {sha256("data")};
  TrainSettings settings;
  const auto refused = [&](bool held_out) {
    return test::error_of(
        [&] { (void)require_same_older_run(saved, current, settings, held_out); });
  };
  CHECK(refused(false) == "no error");
  CHECK(require_same_older_run(saved, current, settings, false).find("tensors, tokenizer") !=
        std::string::npos);
  CHECK(refused(true).find("held-out data: got some, expected none") != std::string::npos);
  saved.untouched_nll = 3;
  CHECK(refused(true) == "no error");
  CHECK(require_same_older_run(saved, current, settings, true).find("held-out data") !=
        std::string::npos);
  CHECK(refused(false).find("held-out data: got none, expected some") != std::string::npos);
  current.identity["draw"] = "each_epoch";
  CHECK(refused(true).find("draw: got each_epoch, expected once") != std::string::npos);
  current.identity["draw"] = "once";
  CHECK(refused(true) == "no error");
  saved.config_digest = sha256("others");
  CHECK(refused(true).find("other settings or another model than the train state of step 7") !=
        std::string::npos);
  saved.config_digest = current.config_digest;
  saved.data_digests.push_back(sha256("more"));
  CHECK(refused(true).find("files of the training data") != std::string::npos);
  settings.ema = 0.5;  // what its average was made by is gone
  CHECK(refused(true).find("moving average: got one with a warm-up") != std::string::npos);
}

}  // namespace organ::train
