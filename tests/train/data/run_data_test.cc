// SPDX-License-Identifier: Apache-2.0
#include "train/data/run_data.h"

#include <cmath>

#include <fmt/core.h>
#include <sys/stat.h>

#include <doctest/doctest.h>

#include "format/base/file.h"
#include "tests/support/support.h"
#include "tests/support/watcher.h"
#include "tests/train/support/letter_tokenizer.h"
#include "tests/train/support/run_texts.h"
#include "train/data/overlap.h"

namespace organ::train {
namespace {

namespace fs = std::filesystem;

// A model of the test data with a tokenizer of letters, and texts to read.
struct Case {
  explicit Case(const std::string& model, const std::string& post_processor = "null",
                const std::string& config = R"({"eos_token": "<|endoftext|>"})") {
    checkpoint = test::letter_model(folder.path(), model, post_processor, config);
  }
  fs::path write(const std::string& name, std::string_view text) const {
    write_file(folder.path() / name, text);
    return folder.path() / name;
  }
  TempFolder folder = test::scratch();
  std::optional<format::Checkpoint> checkpoint;
};

std::vector<std::int64_t> ids_of(const Dataset& data, std::int64_t window) {
  const auto length = static_cast<std::size_t>(data.row_length());
  std::vector<std::int64_t> ids(length), targets(length);
  std::vector<std::int32_t> first_key(length);
  data.fill(window, {ids, targets, first_key});
  return ids;
}

// The windows, and what they were made of.
void check_same(const Dataset& a, const Dataset& b) {
  REQUIRE(a.windows() == b.windows());
  for (std::int64_t window = 0; window < a.windows(); ++window) {
    CHECK(ids_of(a, window) == ids_of(b, window));
  }
  CHECK(a.stream().digest() == b.stream().digest());
  CHECK(a.draw_seed() == b.draw_seed());
  CHECK(a.bits_per_byte(1) == b.bits_per_byte(1));
}

constexpr std::int32_t kEnd = 28;

}  // namespace

TEST_CASE(
    "documents to train on end with the end of text, those to measure on are the text alone") {
  const Case of("llama");
  RunDataOptions options{.training = {{of.write("a.txt", "abc\n\ndefgh")}, {}},
                         .held_out = {{of.write("b.txt", "ijk\n\nlm")}, {}},
                         .split = DocumentSplit::blank_lines,
                         .context = 4};
  const RunData data = read_run_data(*of.checkpoint, options);
  CHECK(data.training.tokens() == 10);
  CHECK(data.training.stream().ids()[3] == kEnd);
  CHECK(data.training.task() == Task::next_token);
  REQUIRE(data.held_out);
  CHECK(data.held_out->tokens() == 5);
  CHECK(data.held_out->context() == 4);
  CHECK(ids_of(*data.held_out, 0) ==
        std::vector<std::int64_t>{8, 9, 10, 11});  // joined, not packed
  CHECK(data.tokenizer == format::tokenizer_digest(of.checkpoint->folder()));
  CHECK(data.overlap == 0);
  options.held_out = {};
  CHECK_FALSE(read_run_data(*of.checkpoint, options).overlap);
}

TEST_CASE(
    "what the tokenizer puts before a text stands before every document, unless told not to") {
  const Case of("llama", test::letters_before_text("x"));
  RunDataOptions options{.training = {{of.write("a.txt", "abc\n\ndefgh")}, {}},
                         .held_out = {{of.write("b.txt", "ijk\n\nlm")}, {}},
                         .split = DocumentSplit::blank_lines,
                         .packing = Packing::concat,
                         .context = 5};
  const RunData data = read_run_data(*of.checkpoint, options);
  CHECK(ids_of(data.training, 0) == std::vector<std::int64_t>{23, 0, 1, 2, kEnd});
  CHECK(ids_of(*data.held_out, 0) == std::vector<std::int64_t>{23, 8, 9, 10, 23});
  CHECK(data.training.stream().recorded_lead_in() == std::vector<std::uint64_t>{23});
  const MeasuredData measured = read_measured_data(
      *of.checkpoint,
      {.source = options.held_out, .split = DocumentSplit::blank_lines, .context = 5});
  CHECK(ids_of(measured.data, 0) == ids_of(*data.held_out, 0));
  const MeasuredData rolling = read_measured_data(
      *of.checkpoint, {.source = options.held_out, .context = 5, .rolling = true});
  CHECK(ids_of(rolling.data, 0).front() == kEnd);
  options.lead_in = LeadIn::none;
  const RunData plain = read_run_data(*of.checkpoint, options);
  CHECK(ids_of(plain.training, 0) == std::vector<std::int64_t>{0, 1, 2, kEnd, 3});
  CHECK(plain.training.stream().recorded_lead_in()->empty());
}

TEST_CASE("a task that says itself what stands around a text takes no other choice") {
  const auto first_ids = [](const std::string& model, LeadIn choice) {
    const Case of(model, test::letters_before_text("x"), R"({"bos_token": "b"})");
    const RunData data = read_run_data(
        *of.checkpoint, {.training = {{of.write("a.txt", "abcdefghabcdefghabcdefgh")}, {}},
                         .lead_in = choice,
                         .context = 12});
    return data.training.stream().recorded_lead_in();
  };
  const auto refused = [&](const std::string& model, LeadIn choice) {
    return test::error_of([&] { (void)first_ids(model, choice); });
  };
  CHECK(first_ids("t5", LeadIn::automatic)->empty());
  CHECK(first_ids("t5", LeadIn::none)->empty());
  CHECK(refused("t5", LeadIn::bos).starts_with("invalid_argument: --lead-in bos: spans"));
  CHECK(refused("bert", LeadIn::bos).starts_with("invalid_argument: --lead-in bos: a masked"));
  CHECK(refused("bert", LeadIn::none).starts_with("invalid_argument: --lead-in none: a masked"));
}

TEST_CASE("data says when nothing ends the documents to train on") {
  const auto lacks = [](const char* model, const char* config) {
    const Case of(model, "null", config);
    RunDataOptions options{.training = {{of.write("a.txt", "abcdefghabcdefghabcdefgh")}, {}},
                           .context = 12};
    const RunData data = read_run_data(*of.checkpoint, options);
    return data.lacks_end_of_sequence();
  };
  CHECK(lacks("llama", "{}"));
  CHECK_FALSE(lacks("llama", R"({"eos_token": "<|endoftext|>"})"));
  CHECK_FALSE(lacks("t5", "{}"));  // the draw brings its own
}

TEST_CASE("a share of the files is set aside, and none stands on both sides") {
  const Case of("llama");
  RunDataOptions options{
      .training = {{of.write("a.txt", "abcdefgh"), of.write("b.txt", "ijklmnop")}, {}},
      .held_out_share = 0.4,
      .context = 8};
  const RunData data = read_run_data(*of.checkpoint, options);
  CHECK(data.hold_out_seed == 0u);
  REQUIRE(data.held_out);
  CHECK(data.training.stream().files().size() == 1);
  CHECK(data.held_out->stream().files().size() == 1);
  CHECK(data.training.stream().digest() != data.held_out->stream().digest());
  options.held_out_share = std::nullopt;
  options.held_out.texts = {options.training.texts.front()};
  CHECK(test::error_of([&] { (void)read_run_data(*of.checkpoint, options); }) ==
        fmt::format("invalid_argument: held-out file '{0}': has the same contents as the training "
                    "file '{0}'",
                    options.held_out.texts.front().path().string()));
}

TEST_CASE("a share that whole texts make far larger or smaller is said, a near one is not") {
  const Case of("llama");
  const auto read = [&](std::initializer_list<std::size_t> sizes, double share,
                        std::uint64_t seed) {
    RunDataOptions options{.held_out_share = share, .context = 8, .seed = seed};
    for (const std::size_t size : sizes) {
      const std::string name(1, static_cast<char>('a' + options.training.texts.size()));
      options.training.texts.emplace_back(of.write(name, std::string(size, name[0])));
    }
    return read_run_data(*of.checkpoint, options);
  };
  const auto said = [](const std::string& asked, const std::string& held_out) {
    return std::vector{"--held-out-share " + asked + ": whole texts are held out, and " + held_out +
                       " % of the bytes are in those that were chosen"};
  };
  CHECK(read({30, 30}, 0.34, 0).warnings.empty());
  CHECK(read({30, 30}, 0.33, 0).warnings == said("0.33", "50.0"));
  std::size_t most = 0;  // how often the text that holds nearly all is held out
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const RunData data = read({90, 10}, 0.8, seed);
    most += data.warnings.empty();
    CHECK((data.warnings.empty() || data.warnings == said("0.8", "10.0")));
    CHECK(data.warnings.empty() == (data.held_out_share == 0.9));
  }
  CHECK((0 < most && most < 8));
}

TEST_CASE("the draw to measure on is that of an evaluation, whatever the seed of the run") {
  const Case of("t5");
  // Windows of 32 lose two spans; the place of a single one is no matter of the seed.
  const std::string text = "abcdefghijklmnopqrstuvwxhgfedcbaponmlkji";
  RunDataOptions options{.training = {{of.write("a.txt", text + "bcdefgh")}, {}},
                         .held_out = {{of.write("b.txt", "ijklmnop" + text)}, {}},
                         .context = 32};
  const RunData first = read_run_data(*of.checkpoint, options);
  CHECK(first.training.task() == Task::spans);
  CHECK(first.training.draw_seed() == 0u);
  CHECK(first.training.tokens() == 47);  // no end of text of its own: the draw brings one
  options.seed = 7;
  const RunData second = read_run_data(*of.checkpoint, options);
  // One window of many may be drawn alike.
  bool differs = false;
  for (std::int64_t window = 0; window < first.training.windows(); ++window) {
    differs = differs || ids_of(first.training, window) != ids_of(second.training, window);
  }
  CHECK(differs);
  CHECK(second.training.draw_seed() == 7u);
  CHECK(second.held_out->draw_seed() == 0u);
  const MeasuredData measured =
      read_measured_data(*of.checkpoint, {.source = options.held_out, .context = 32, .seed = 0});
  CHECK(measured.data.windows() == first.held_out->windows());
  for (std::int64_t window = 0; window < measured.data.windows(); ++window) {
    CHECK(ids_of(*first.held_out, window) == ids_of(measured.data, window));
    CHECK(ids_of(*second.held_out, window) == ids_of(measured.data, window));
  }
}

TEST_CASE("an evaluation counts what training texts share with it and says what pads") {
  const Case of("llama");
  const std::string known = "abcdefghijklmnopqrst", unknown = "tsrqponmlkjihgfedcba";
  const MeasuredData data = read_measured_data(
      *of.checkpoint, {.source = {{of.write("a.txt", known + unknown)}, {}},
                       .context = 8,
                       .training_texts = {of.write("b.txt", known), of.write("c.txt", "hello")}});
  CHECK(data.padding_id == kEnd);
  REQUIRE(data.overlap);
  CHECK(data.overlap->grams == 40 - kOverlapGram + 1);
  CHECK(data.overlap->found == known.size() - kOverlapGram + 1);
  CHECK(data.overlap->training_files.size() == 2);
  CHECK(read_measured_data(*of.checkpoint,
                           {.source = {{of.write("d.txt", "abcd")}, {}}, .padding_id = 3})
            .padding_id == 3);
}

TEST_CASE("data that are no file are a slip of the command line") {
  const Case of("llama");
  const fs::path pipe = of.folder.path() / "pipe", text = of.write("a.txt", "abcdefgh");
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  const auto refused = [&](const auto& read) {
    const std::string error = test::error_of(read);
    CHECK(error.find("invalid_argument: ") == 0);
    CHECK(error.find("expected a file of data, got ") != std::string::npos);
  };
  for (const fs::path& path : {of.folder.path(), pipe}) {
    for (const DataSource& source :
         {DataSource{{path}, {}}, DataSource{{text, path}, {}}, DataSource{{}, path}}) {
      refused([&] { (void)read_run_data(*of.checkpoint, {.training = source}); });
      refused([&] {
        (void)read_run_data(*of.checkpoint, {.training = {{text}, {}}, .held_out = source});
      });
      refused([&] { (void)read_measured_data(*of.checkpoint, {.source = source}); });
    }
    refused([&] {
      (void)read_measured_data(*of.checkpoint, {.source = {{text}, {}}, .training_texts = {path}});
    });
  }
  CHECK(test::error_of([&] {
          (void)read_run_data(*of.checkpoint, {.training = {{of.folder.path() / "no"}, {}}});
        }).find("not_found: ") == 0);
}

TEST_CASE("data from memory are the data of its files, whatever is made of them") {
  const std::string text = "abcdefghijklmnopqrstuvwxhgfedcbaponmlkji";
  for (const char* model : {"llama", "t5"}) {
    CAPTURE(model);
    const Case of(model, test::letters_before_text("x"));
    const std::vector<std::string> texts = {text + "\n\nabc", text + "de", "ij" + text};
    RunDataOptions options{.split = DocumentSplit::blank_lines, .context = 32, .seed = 5};
    RunDataOptions memory = options;
    MeasuredDataOptions measured{.split = DocumentSplit::blank_lines, .context = 32};
    MeasuredDataOptions measured_memory = measured;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::string name = std::string(1, static_cast<char>('a' + i)) + ".txt";
      options.training.texts.emplace_back(of.write(name, texts[i]));
      memory.training.texts.push_back(TextSource::in_memory(name, texts[i]));
    }
    options.held_out_share = memory.held_out_share = 0.3;
    const RunData files = read_run_data(*of.checkpoint, options);
    const RunData own = read_run_data(*of.checkpoint, memory);
    check_same(own.training, files.training);
    check_same(*own.held_out, *files.held_out);
    CHECK(own.tokenizer == files.tokenizer);
    CHECK(own.overlap == files.overlap);
    CHECK(own.hold_out_seed == files.hold_out_seed);
    measured.source = {{options.training.texts[0]}, {}};
    measured.training_texts = {options.training.texts[1]};
    measured_memory.source = {{memory.training.texts[0]}, {}};
    measured_memory.training_texts = {memory.training.texts[1]};
    const MeasuredData of_files = read_measured_data(*of.checkpoint, measured);
    const MeasuredData of_memory = read_measured_data(*of.checkpoint, measured_memory);
    check_same(of_memory.data, of_files.data);
    CHECK(of_memory.overlap->found == of_files.overlap->found);
    CHECK(of_memory.overlap->training_files[0].digest ==
          of_files.overlap->training_files[0].digest);
  }
}

TEST_CASE("sources that exclude each other are refused, and so are none") {
  const Case of("llama");
  const std::vector<std::int64_t> ids = {1, 2, 3, 4};
  const IdsSource rows = IdsSource::in_memory("ids", {ids, 4});
  const TextSource text = TextSource::in_memory("a.txt", "abcdefgh");
  const auto run = [&](const RunDataOptions& options) {
    return test::error_of([&] { (void)read_run_data(*of.checkpoint, options); });
  };
  CHECK(run({.training = {{text}, rows}}) ==
        "invalid_argument: training data: got both, give either texts or rows of ids");
  CHECK(run({}) ==
        "invalid_argument: training data: got neither, give either texts or rows of ids");
  CHECK(run({.training = {{text}, {}}, .held_out = {{text}, rows}})
            .starts_with("invalid_argument: held-out data: got both"));
  CHECK(run({.training = {{text, text}, {}}, .held_out = {{text}, {}}, .held_out_share = 0.5})
            .ends_with("share: chooses among texts; it cannot be joined with held-out texts"));
  CHECK(run({.training = {{}, rows}, .held_out_share = 0.5})
            .ends_with("share: chooses among texts; it cannot be joined with rows of ids"));
  CHECK(test::error_of([&] { (void)read_measured_data(*of.checkpoint, {}); }) ==
        "invalid_argument: data: got neither, give either texts or rows of ids");
}

TEST_CASE("options that cannot be are refused before anything is read, by the host's own names") {
  const Case of("llama");
  const std::vector<std::int64_t> ids = {1, 2, 3, 4};
  const IdsSource rows = IdsSource::in_memory("ids", {ids, 4});
  const TextSource nowhere(of.folder.path() / "nowhere");
  const RunDataOptions led{.training = {{}, rows}, .lead_in = LeadIn::bos};
  CHECK(test::error_of([&] { (void)read_run_data(*of.checkpoint, led); }) ==
        "invalid_argument: lead-in bos: rows of ids are taken as they are");
  CHECK(test::error_of([&] { check_run_data(led, {.ids = "--ids", .lead_in = "--lead-in"}); }) ==
        "invalid_argument: --lead-in bos: --ids are taken as they are");
  CHECK(test::error_of([&] {
          (void)read_measured_data(*of.checkpoint, {.source = {{}, rows}, .lead_in = LeadIn::bos});
        }) == "invalid_argument: lead-in bos: rows of ids are taken as they are");
  for (const double share : {0.0, 1.0, 7.0, -0.5, std::nan("")}) {
    CAPTURE(share);
    const RunDataOptions shared{.training = {{nowhere, nowhere}, {}}, .held_out_share = share};
    const auto error = test::error_of([&] { (void)read_run_data(*of.checkpoint, shared); });
    CHECK(error.starts_with("invalid_argument: held-out share: "));
    CHECK(error.ends_with(" is out of range, expected more than 0 and less than 1"));
  }
}

TEST_CASE("documents longer than a model has positions are said once") {
  const Case of("llama");
  const auto positions = static_cast<std::int64_t>(of.checkpoint->architecture().max_positions());
  const auto text = [&](const std::string& name, std::int64_t letters) {
    return of.write(name, std::string(static_cast<std::size_t>(letters), name[0]));
  };
  const auto warnings = [&](const fs::path& training, const fs::path& held_out,
                            std::int64_t context) {
    return read_run_data(
               *of.checkpoint,
               {.training = {{training}, {}}, .held_out = {{held_out}, {}}, .context = context})
        .warnings;
  };
  const auto longer = text("a", positions + 8), other = text("b", positions + 8),
             shorter = text("c", positions - 1);
  CHECK(warnings(longer, other, positions).empty());
  CHECK(warnings(shorter, text("d", positions - 1), positions + 4).empty());
  CHECK(warnings(longer, other, positions + 4) ==
        std::vector<std::string>{
            fmt::format("windows hold documents of up to {} tokens, the model was made for {} "
                        "positions",
                        positions + 4, positions)});
}

TEST_CASE("reading texts tells how far it is, and can be ended at each step") {
  const Case of("llama");
  const fs::path training = of.write("a.txt", "abc\n\ndefgh\n\n\n\nij\n");
  const fs::path empty = of.write("b.txt", "\n");
  const fs::path held_out = of.write("c.txt", "\n\nklm\n\nno");
  for (const DocumentSplit split : {DocumentSplit::file, DocumentSplit::blank_lines}) {
    const RunDataOptions run{.training = {{training, empty}, {}},
                             .held_out = {{held_out}, {}},
                             .split = split,
                             .context = 4};
    const MeasuredDataOptions measured{.source = {{held_out}, {}},
                                       .split = split,
                                       .context = 4,
                                       .training_texts = {training, training}};
    const auto steps = [&](const std::vector<std::string>& phases, const auto& read) {
      test::Watcher watcher;
      read(Work(&watcher));
      CHECK(watcher.names() == phases);
      test::check_phases(watcher);
      CHECK(test::end_at_every_step(of.folder.path(), read) == watcher.steps() + 1);
    };
    steps({"reading training data", "reading held-out data", "comparing with held-out data"},
          [&](const Work& work) { (void)read_run_data(*of.checkpoint, run, work); });
    const RunDataOptions shared{.training = {{training, empty, held_out}, {}},
                                .held_out_share = 0.3,
                                .split = split,
                                .context = 4};
    steps({"choosing held-out texts", "reading training data", "reading held-out data",
           "comparing with held-out data"},
          [&](const Work& work) { (void)read_run_data(*of.checkpoint, shared, work); });
    steps({"reading texts", "reading training texts"},
          [&](const Work& work) { (void)read_measured_data(*of.checkpoint, measured, work); });
  }
}

}  // namespace organ::train
