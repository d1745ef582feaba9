// SPDX-License-Identifier: Apache-2.0
#include "train/data/source/hold_out.h"

#include <algorithm>
#include <deque>

#include <doctest/doctest.h>

#include "format/base/file.h"
#include "tests/support/support.h"
#include "train/data/source/read_source.h"

namespace organ::train {
namespace {

std::vector<std::string> names_of(const std::vector<TextSource>& sources) {
  std::vector<std::string> names;
  names.reserve(sources.size());
  for (const TextSource& source : sources) names.push_back(source.path().filename().string());
  return names;
}

}  // namespace

TEST_CASE("whole texts are held out by seed, never all of them") {
  const TempFolder folder = test::scratch();
  std::vector<TextSource> files, memory;
  std::deque<std::string> texts;
  for (int i = 0; i < 10; ++i) {
    texts.emplace_back(100, static_cast<char>('a' + i));
    files.emplace_back(folder.path() / std::to_string(i));
    write_file(files.back().path(), texts.back());
    memory.push_back(TextSource::in_memory(std::to_string(i), texts.back()));
  }
  const auto split = hold_out_texts(files, 0.2, 1);
  CHECK(split.held_out.size() == 2);
  CHECK(split.training.size() == 8);
  CHECK(split.held_out == hold_out_texts(files, 0.2, 1).held_out);
  CHECK(hold_out_texts(files, 0.99, 1).training.size() == 1);
  const auto error = test::error_of([&] { (void)hold_out_texts({files[0]}, 0.2, 1); });
  CHECK(error.starts_with("invalid_argument: --held-out-share"));
  CHECK(
      test::error_of([&] { (void)hold_out_texts(files, 7, 1); }) ==
      "invalid_argument: held-out share: 7 is out of range, expected more than 0 and less than 1");
  // Of memory the same ones, in the same order.
  for (const std::uint64_t seed : {1, 2, 3}) {
    const HoldOut of_files = hold_out_texts(files, 0.3, seed);
    const HoldOut of_memory = hold_out_texts(memory, 0.3, seed);
    CHECK(names_of(of_memory.held_out) == names_of(of_files.held_out));
    CHECK(names_of(of_memory.training) == names_of(of_files.training));
    CHECK(of_memory.training.front().memory());
  }
}

TEST_CASE("equal texts stand on one side") {
  for (const std::uint64_t seed : {1, 2, 3, 4, 5, 6, 7, 8}) {
    std::vector<TextSource> texts;
    for (const char* name : {"a", "b", "c", "d"}) {
      texts.push_back(TextSource::in_memory(name, "one text"));
      texts.push_back(TextSource::in_memory(name + std::string("2"), name));
    }
    for (const double share : {0.01, 0.3, 0.9}) {
      const HoldOut split = hold_out_texts(texts, share, seed);
      CHECK_FALSE(split.training.empty());
      CHECK_FALSE(split.held_out.empty());
      const auto copies = std::ranges::count_if(
          split.held_out, [](const TextSource& text) { return text.memory() == "one text"; });
      CHECK((copies == 0 || copies == 4));
    }
    texts = {TextSource::in_memory("a", "x"), TextSource::in_memory("b", "x")};
    CHECK(test::error_of([&] { (void)hold_out_texts(texts, 0.5, seed); }) ==
          "invalid_argument: --held-out-share: all of 2 data files hold the same");
  }
}

TEST_CASE("a text saved in another way is the same text") {
  const std::vector<std::string> forms = {"one\ntext", "one\r\ntext\r\n", "\xef\xbb\xbfone\ntext",
                                          "\n\none \t\ntext\n\n"};
  for (const std::string& form : forms) CHECK(as_saved_anyhow(form) == "one\ntext");
  for (const char* other : {"one text", "one\n\ntext", " one\ntext", "one\ntext.", ""}) {
    CHECK(as_saved_anyhow(other) != "one\ntext");
  }
  for (const std::uint64_t seed : {1, 2, 3, 4, 5, 6, 7, 8}) {
    std::vector<TextSource> texts;
    texts.reserve(forms.size() + 1);
    for (const std::string& form : forms) texts.push_back(TextSource::in_memory("a", form));
    CHECK(test::error_of([&] { (void)hold_out_texts(texts, 0.5, seed); }) ==
          "invalid_argument: --held-out-share: all of 4 data files hold the same");
    texts.push_back(TextSource::in_memory("b", "another text of more bytes than all of the first"));
    const HoldOut split = hold_out_texts(texts, 0.5, seed);
    CHECK(std::min(split.training.size(), split.held_out.size()) == 1);
  }
}

TEST_CASE("how much is held out is told") {
  std::vector<TextSource> texts;
  const std::vector<std::string> contents = {std::string(10, 'a'), std::string(30, 'b'),
                                             std::string(60, 'c')};
  texts.reserve(contents.size());
  for (const std::string& text : contents) texts.push_back(TextSource::in_memory("a", text));
  for (const std::uint64_t seed : {1, 2, 3, 4, 5}) {
    const HoldOut split = hold_out_texts(texts, 0.2, seed);
    double bytes = 0;
    for (const TextSource& text : split.held_out) {
      bytes += static_cast<double>(text.memory().value().size());
    }
    CHECK(split.share == doctest::Approx(bytes / 100));
  }
}

TEST_CASE("texts of one name stand in an order that their contents decide") {
  const std::vector<std::string> texts = {"abc", "defg", "hij", "kl", "mnopq"};
  std::vector<TextSource> sources;
  sources.reserve(texts.size());
  for (const std::string& text : texts) sources.push_back(TextSource::in_memory("a", text));
  const HoldOut first = hold_out_texts(sources, 0.2, 1);
  std::swap(sources[0], sources[4]);
  std::swap(sources[1], sources[2]);
  const HoldOut second = hold_out_texts(sources, 0.2, 1);
  CHECK(first.training == second.training);
  CHECK(first.held_out == second.held_out);
}

}  // namespace organ::train
