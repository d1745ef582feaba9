// SPDX-License-Identifier: Apache-2.0
#include "train/data/dataset.h"

#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>

#include "format/base/file.h"
#include "tests/support/support.h"
#include "tests/train/support/ids_file.h"
#include "tests/train/support/letter_tokenizer.h"
#include "train/tokenizer/tokenizer.h"
#include "train/trainer/batch_order.h"

namespace organ::train {
namespace {

struct Window {
  std::vector<std::int64_t> ids, targets;
  std::vector<std::int32_t> first_key;
};

Window window_of(const Dataset& data, std::int64_t index) {
  const auto size = static_cast<std::size_t>(data.context());
  Window window{std::vector<std::int64_t>(size), std::vector<std::int64_t>(size),
                std::vector<std::int32_t>(size)};
  data.fill(index, {window.ids, window.targets, window.first_key});
  return window;
}

// A scratch folder with the tokenizer and text files.
struct Texts {
  Texts() : tokenizer(Tokenizer::open(test::write_letter_tokenizer(folder.path()))) {}
  std::filesystem::path write(const std::string& name, std::string_view text) const {
    write_file(folder.path() / name, text);
    return folder.path() / name;
  }
  Dataset load(const std::vector<TextSource>& texts, const Dataset::Options& options,
               std::uint64_t vocabulary = 29) const {
    return Dataset::from_texts(texts, tokenizer, vocabulary, options);
  }
  TempFolder folder = test::scratch();
  Tokenizer tokenizer;
};

}  // namespace

TEST_CASE("documents are packed into windows without a target across documents") {
  const Texts texts;
  const auto data =
      texts.load({texts.write("a.txt", "abc"), texts.write("b.txt", "defg")}, {.context = 5});
  REQUIRE(data.windows() == 2);
  const Window first = window_of(data, 0);
  CHECK(first.ids == std::vector<std::int64_t>{0, 1, 2, 3, 4});
  CHECK(first.targets == std::vector<std::int64_t>{1, 2, -1, 4, -1});
  CHECK(first.first_key == std::vector<std::int32_t>{0, 0, 0, 3, 3});
  CHECK(data.targets_in(0) == 3);
  const Window second = window_of(data, 1);  // "fg" and three of padding
  CHECK(second.ids == std::vector<std::int64_t>{5, 6, 0, 0, 0});
  CHECK(second.targets == std::vector<std::int64_t>{6, -1, -1, -1, -1});
  CHECK(second.first_key == std::vector<std::int32_t>{0, 0, 2, 3, 4});
  CHECK(data.targets_in(1) == 1);
  CHECK(data.stream().text_bytes() == 7);
  CHECK(data.stream().files()[1].tokens == 4);
}

TEST_CASE("packed documents share a window without seeing each other") {
  const Texts texts;
  const auto data = texts.load(
      {texts.write("a.txt", "abcdefg\n\nhi\n\njklm\n\np")},
      {.context = 6, .texts = {.split = DocumentSplit::blank_lines}, .packing = Packing::ffd});
  REQUIRE(data.windows() == 2);  // "abcdef" without its one token of rest; "jklm" and "hi"
  const Window second = window_of(data, 1);
  CHECK(second.ids == std::vector<std::int64_t>{9, 10, 11, 12, 7, 8});
  CHECK(second.targets == std::vector<std::int64_t>{10, 11, 12, -1, 8, -1});
  CHECK(second.first_key == std::vector<std::int32_t>{0, 0, 0, 0, 4, 4});
  CHECK(data.targets_in(0) == 5);
  CHECK(data.targets_in(1) == 4);
  CHECK(data.filled_share() == 1.0);
  const auto padded = texts.load(
      {texts.write("b.txt", "abcd\n\nefg")},
      {.context = 6, .texts = {.split = DocumentSplit::blank_lines}, .packing = Packing::ffd});
  REQUIRE(padded.windows() == 2);
  const Window last = window_of(padded, 1);
  CHECK(last.ids == std::vector<std::int64_t>{4, 5, 6, 0, 0, 0});
  CHECK(last.targets == std::vector<std::int64_t>{5, 6, -1, -1, -1, -1});
  CHECK(last.first_key == std::vector<std::int32_t>{0, 0, 0, 3, 4, 5});
  CHECK(padded.filled_share() == doctest::Approx(7.0 / 12));
}

TEST_CASE("one document gives the same windows however it is packed") {
  const Texts texts;
  const auto file = texts.write("a.txt", "abcdefghijklmnopqrst");
  const auto joined = texts.load({file}, {.context = 8});
  const auto packed = texts.load({file}, {.context = 8, .packing = Packing::ffd});
  REQUIRE(joined.windows() == packed.windows());
  for (std::int64_t i = 0; i < joined.windows(); ++i) {
    CHECK(window_of(joined, i).ids == window_of(packed, i).ids);
    CHECK(window_of(joined, i).targets == window_of(packed, i).targets);
    CHECK(window_of(joined, i).first_key == window_of(packed, i).first_key);
  }
}

TEST_CASE("an end-of-sequence id closes each document when asked for") {
  const Texts texts;
  const auto data = texts.load(
      {texts.write("a.txt", "ab\n\n\ncd\n")},
      {.context = 8, .texts = {.split = DocumentSplit::blank_lines, .end_of_sequence = true}});
  const Window window = window_of(data, 0);
  CHECK(window.ids == std::vector<std::int64_t>{0, 1, 28, 2, 3, 28, 0, 0});
  CHECK(window.targets == std::vector<std::int64_t>{1, 28, -1, 3, 28, -1, -1, -1});
}

TEST_CASE("a lead-in stands before each document and is no target") {
  const Texts texts;
  const auto file = texts.write("a.txt", "ab\n\ncd");
  for (const Packing packing : {Packing::concat, Packing::ffd}) {
    const auto one =
        texts.load({file}, {.context = 6,
                            .texts = {.split = DocumentSplit::blank_lines, .lead_in = {28}},
                            .packing = packing});
    CHECK(one.stream().lead_in().size() == 1);
    CHECK(one.stream().text_tokens() == 4);
    const Window window = window_of(one, 0);
    CHECK(window.ids == std::vector<std::int64_t>{28, 0, 1, 28, 2, 3});
    CHECK(window.targets == std::vector<std::int64_t>{0, 1, -1, 2, 3, -1});
    const auto two =
        texts.load({file}, {.context = 8,
                            .texts = {.split = DocumentSplit::blank_lines, .lead_in = {24, 25}},
                            .packing = packing});
    const Window wider = window_of(two, 0);
    CHECK(wider.ids == std::vector<std::int64_t>{24, 25, 0, 1, 24, 25, 2, 3});
    CHECK(wider.targets == std::vector<std::int64_t>{-1, 0, 1, -1, -1, 2, 3, -1});
  }
  const auto error =
      test::error_of([&] { (void)texts.load({file}, {.context = 8, .texts = {.lead_in = {29}}}); });
  CHECK(error ==
        "invalid_argument: around each document: token 0 has id 29, the model's vocabulary "
        "has 29 entries");
}

TEST_CASE("every window counts the targets that it has") {
  const Texts texts;
  const auto file = texts.write("a.txt", "abc\n\nd\n\nefghijklmnop\n\nqr\n\nstu\n\nv");
  for (const Packing packing : {Packing::concat, Packing::ffd}) {
    for (const std::vector<std::int32_t>& lead_in :
         {std::vector<std::int32_t>{}, {28}, {24, 25}, {24, 25, 28}}) {
      for (const std::int64_t context : {2, 3, 5, 8, 64}) {
        const auto data =
            texts.load({file}, {.context = context,
                                .texts = {.split = DocumentSplit::blank_lines, .lead_in = lead_in},
                                .packing = packing});
        CHECK(data.stream().text_tokens() == 22);
        for (std::int64_t i = 0; i < data.windows(); ++i) {
          const auto targets = window_of(data, i).targets;
          CAPTURE(context);
          CAPTURE(i);
          CHECK(data.targets_in(i) == std::count_if(targets.begin(), targets.end(),
                                                    [](std::int64_t id) { return id >= 0; }));
        }
      }
    }
  }
}

TEST_CASE("bits per byte spread the mean over what the text is, not over its lead-ins") {
  const Texts texts;
  const auto file = texts.write("a.txt", "abcd");
  const auto plain = texts.load({file}, {.context = 8});
  const auto led = texts.load({file}, {.context = 8, .texts = {.lead_in = {24, 25}}});
  CHECK(plain.bits_per_byte(std::log(2.0)) == doctest::Approx(1));
  CHECK(led.bits_per_byte(std::log(2.0)) == doctest::Approx(1));
}

TEST_CASE("rows of ids stay rows, each with the padding at its end") {
  // One row is full, one short, one padding alone, one a single token.
  const std::vector<std::int64_t> ids = {1, 0, 2, 5, 7, 6, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0};
  const auto data = test::dataset_of(ids, 4, 29, 0);
  CHECK(data.context() == 4);
  CHECK(data.tokens() == 7);
  REQUIRE(data.windows() == 4);
  CHECK(data.filled_share() == doctest::Approx(7.0 / 16));
  CHECK(std::vector<std::int64_t>(data.stream().document_starts().begin(),
                                  data.stream().document_starts().end()) ==
        std::vector<std::int64_t>{0, 4, 6});
  CHECK(window_of(data, 0).ids == std::vector<std::int64_t>{1, 0, 2, 5});
  CHECK(window_of(data, 0).targets == std::vector<std::int64_t>{0, 2, 5, -1});
  CHECK(window_of(data, 1).ids == std::vector<std::int64_t>{7, 6, 0, 0});
  CHECK(window_of(data, 1).targets == std::vector<std::int64_t>{6, -1, -1, -1});
  CHECK(window_of(data, 1).first_key == std::vector<std::int32_t>{0, 0, 2, 3});
  CHECK(window_of(data, 2).targets == std::vector<std::int64_t>(4, -1));
  CHECK(window_of(data, 3).ids == std::vector<std::int64_t>{3, 0, 0, 0});
  std::vector<std::int64_t> targets;
  for (std::int64_t i = 0; i < 4; ++i) targets.push_back(data.targets_in(i));
  CHECK(targets == std::vector<std::int64_t>{3, 1, 0, 0});
  CHECK(data.fullest_window() == 0);
  CHECK(test::dataset_of(ids, 4, 29).tokens() == 16);
  const std::vector<std::int64_t> late = {0, 0, 0, 0, 1, 2, 0, 0, 1, 2, 3, 0, 1, 2, 3, 0};
  CHECK(test::dataset_of(late, 4, 29, 0).fullest_window() == 2);
}

TEST_CASE("data that cannot train is refused with its file and place") {
  const Texts texts;
  const auto error_for = [&](std::string_view text, std::uint64_t vocabulary) {
    const auto file = texts.write("bad.txt", text);
    return test::error_of([&] { (void)texts.load({file}, {.context = 4}, vocabulary); });
  };
  CHECK(error_for("", 29).starts_with("invalid_argument: 'bad.txt': no text to predict"));
  CHECK(error_for("a", 29).starts_with("invalid_argument: 'bad.txt': no text to predict"));
  const auto invalid = error_for("ab\xff", 29);
  CHECK(invalid.starts_with("invalid_argument:"));
  CHECK(invalid.find("byte 2") != std::string::npos);
  CHECK(invalid.find("bad.txt") != std::string::npos);
  const auto beyond = error_for("abz", 20);
  CHECK(beyond.find("token 2 has id 25") != std::string::npos);
  CHECK(beyond.find("vocabulary has 20") != std::string::npos);
  const auto narrow = [&](std::int64_t context) {
    const auto file = texts.write("a.txt", "abc");
    return test::error_of([&] { (void)texts.load({file}, {.context = context}); });
  };
  for (const std::int64_t context : {1, 0, -1}) {
    CHECK(narrow(context).starts_with("invalid_argument: context: "));
  }
}

TEST_CASE("held-out data that equals training data is refused") {
  const Texts texts;
  const auto load = [&](const std::string& name, std::string_view text) {
    return texts.load({texts.write(name, text)}, {.context = 16});
  };
  const auto a = load("a.txt", "the same contents of both files");
  const auto b = load("b.txt", "the same contents of both files");
  const auto c = load("c.txt", "something else entirely written");
  const auto error = test::error_of([&] { check_disjoint(a.stream(), b.stream()); });
  CHECK(error.find("b.txt': has the same contents as the training file '") != error.npos);
  CHECK(test::error_of([&] { check_disjoint(a.stream(), c.stream()); }) == "no error");
  const auto resaved = load("d.txt", "\xef\xbb\xbfthe same contents of both files \r\n");
  const auto saved = test::error_of([&] { check_disjoint(a.stream(), resaved.stream()); });
  CHECK(saved.find("d.txt': has the same text, saved in another way, as the training file '") !=
        saved.npos);
}

TEST_CASE("blank files on either side hold nothing that the other one knows") {
  const Texts texts;
  const auto load = [&](const std::string& name, std::string_view text) {
    return texts.load({texts.write(name, text), texts.write("of " + name, "abc" + name)},
                      {.context = 16});
  };
  const auto a = load("a.txt", "\n");
  const auto b = load("b.txt", "\n");
  CHECK(test::error_of([&] { check_disjoint(a.stream(), b.stream()); }) == "no error");
}

TEST_CASE("an epoch visits every window once, in an order of its own") {
  auto first = epoch_order(7, 0, 100);
  CHECK(first == epoch_order(7, 0, 100));
  CHECK(first != epoch_order(7, 1, 100));
  CHECK(first != epoch_order(8, 0, 100));
  std::sort(first.begin(), first.end());
  for (std::int64_t i = 0; i < 100; ++i) CHECK(first[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("the batch of a step needs nothing but the seed and the step") {
  BatchOrder straight(3, 10), jumped(3, 10);
  for (std::uint64_t step = 0; step < 7; ++step) (void)straight.step(step, 4);
  CHECK(straight.step(7, 4) == jumped.step(7, 4));
  // Five steps of four rows visit each of the ten windows exactly twice.
  BatchOrder order(3, 10);
  std::vector<int> seen(10);
  for (std::uint64_t step = 0; step < 5; ++step) {
    for (const auto window : order.step(step, 4)) ++seen[static_cast<std::size_t>(window)];
  }
  CHECK(seen == std::vector<int>(10, 2));
}

namespace {

struct Row {
  std::vector<std::int64_t> ids, targets;
  bool operator==(const Row&) const = default;
};

Row row_of_epoch(const Dataset& data, std::int64_t window, std::uint64_t epoch) {
  const auto size = static_cast<std::size_t>(data.row_length());
  Row row{std::vector<std::int64_t>(size), std::vector<std::int64_t>(size)};
  std::vector<std::int32_t> first_key(size);
  data.fill(window, {row.ids, row.targets, first_key}, epoch);
  return row;
}

void check_draws(const Dataset& data) {
  for (std::int64_t window = 0; window < data.windows(); ++window) {
    for (const std::uint64_t epoch : {0, 1, 2, 40}) {
      const Row row = row_of_epoch(data, window, epoch);
      CHECK(row == row_of_epoch(data, window, epoch));
      CHECK((row == row_of_epoch(data, window, 0)) == (epoch == 0));
      CHECK(data.targets_in(window, epoch) ==
            std::count_if(row.targets.begin(), row.targets.end(), [](auto id) { return id >= 0; }));
    }
  }
}

}  // namespace

TEST_CASE("each epoch hides and drops other tokens; texts of the next token are the same in all") {
  std::vector<std::int64_t> ids(600);
  for (std::size_t i = 0; i < ids.size(); ++i)
    ids[i] = 100 + static_cast<std::int64_t>(i * 37 % 800);
  Dataset masked = test::dataset_of(ids, 200, 1000);
  const Row plain = row_of_epoch(masked, 1, 0);
  CHECK(plain == row_of_epoch(masked, 1, 3));
  masked.hide_tokens({7, 3, 1000, {0, 1, 2, 3}});
  check_draws(masked);
  Dataset dropped = test::dataset_of(ids, 200, 1000);
  SpanDraw draw;
  draw.seed = 7;
  for (std::int32_t i = 0; i < 20; ++i) draw.sentinels.push_back(980 + i);
  dropped.drop_spans(draw);
  check_draws(dropped);
}

TEST_CASE("every row of a step knows its epoch") {
  BatchOrder order(3, 5);
  std::vector<std::uint64_t> epochs;
  for (std::uint64_t step = 0; step < 4; ++step) {
    const auto of_step = order.epochs(step, 4);
    epochs.insert(epochs.end(), of_step.begin(), of_step.end());
  }
  CHECK(epochs == std::vector<std::uint64_t>{0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3});
  CHECK(BatchOrder(3, 5, TaskDraw::once).epochs(3, 4) == std::vector<std::uint64_t>(4));
}

}  // namespace organ::train
