// SPDX-License-Identifier: Apache-2.0
#include "train/data/span_denoising.h"

#include <algorithm>
#include <map>
#include <numeric>

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "format/base/file.h"
#include "tests/support/support.h"
#include "tests/train/support/letter_tokenizer.h"
#include "train/data/dataset.h"
#include "train/data/span_draw.h"
#include "train/tokenizer/tokenizer.h"

namespace organ::train {
namespace {

constexpr std::int32_t kFirstText = 100;

SpanDraw make_draw(std::uint64_t seed = 7) {
  SpanDraw draw{.seed = seed, .sentinels = {}, .end = 1, .start = 0};
  for (std::int32_t i = 0; i < 60; ++i) draw.sentinels.push_back(99 - i);
  return draw;
}

std::vector<std::int32_t> make_text(std::size_t tokens) {
  std::vector<std::int32_t> text(tokens);
  std::iota(text.begin(), text.end(), kFirstText);
  return text;
}

// A row made of `tokens` tokens, in arrays for a window of `context`.
struct Row {
  Row(const SpanDraw& draw, std::uint64_t start, std::size_t tokens, std::size_t context)
      : lengths(span_lengths(context)),
        ids(lengths.source + lengths.target),
        targets(ids.size()),
        first_key(ids.size()) {
    drop_spans(draw, start, make_text(tokens), lengths.source, {ids, targets, first_key});
  }
  std::span<const std::int64_t> source() const { return std::span(ids).first(lengths.source); }
  std::span<const std::int64_t> given() const { return std::span(ids).subspan(lengths.source); }
  std::span<const std::int64_t> wanted() const {
    return std::span(targets).subspan(lengths.source);
  }
  SpanLengths lengths;
  std::vector<std::int64_t> ids, targets;
  std::vector<std::int32_t> first_key;
};

// The text again, from what the encoder reads and the decoder writes.
std::vector<std::int32_t> restored(const Row& row) {
  std::map<std::int64_t, std::vector<std::int32_t>> spans;
  std::int64_t sentinel = -1;
  for (const std::int64_t id : row.wanted()) {
    if (id < 2) break;
    if (id < kFirstText) {
      sentinel = id;
    } else {
      spans[sentinel].push_back(static_cast<std::int32_t>(id));
    }
  }
  std::vector<std::int32_t> text;
  for (const std::int64_t id : row.source()) {
    if (id < 2) break;
    if (id >= kFirstText) {
      text.push_back(static_cast<std::int32_t>(id));
    } else {
      text.insert(text.end(), spans.at(id).begin(), spans.at(id).end());
    }
  }
  return text;
}

}  // namespace

// Of transformers' run_t5_mlm_flax.
TEST_CASE("a window's lengths are those of T5") {
  const SpanLengths large = span_lengths(568);
  CHECK(large.dropped == 85);
  CHECK(large.spans == 28);
  CHECK(large.source == 512);
  CHECK(large.target == 114);
  const SpanLengths two = span_lengths(2);
  CHECK(two.dropped == 1);
  CHECK(two.spans == 1);
  CHECK(span_lengths(30).dropped == 4);  // 4.5 to even
  SpanLengths before = span_lengths(1);
  CHECK(before.spans == 0);
  for (std::size_t tokens = 2; tokens < 3000; ++tokens) {
    const SpanLengths lengths = span_lengths(tokens);
    REQUIRE(lengths.source >= before.source);
    REQUIRE(lengths.target >= before.target);
    before = lengths;
  }
}

TEST_CASE("source and target together are the text, each ended, the target shifted by one") {
  for (const std::size_t tokens : {2, 3, 5, 31, 64, 512}) {
    CAPTURE(tokens);
    const Row row(make_draw(), 1000, tokens, tokens);
    CHECK(restored(row) == make_text(tokens));
    CHECK(row.source().back() == 1);
    CHECK(row.wanted().back() == 1);
    CHECK(row.wanted().front() == 99);
    CHECK(row.given().front() == 0);
    CHECK(std::equal(row.given().begin() + 1, row.given().end(), row.wanted().begin()));
    CHECK(std::all_of(row.targets.begin(),
                      row.targets.begin() + static_cast<std::ptrdiff_t>(row.lengths.source),
                      [](std::int64_t id) { return id == -1; }));
    CHECK(row.source().front() == kFirstText);  // the first token stays, the last is asked for
    CHECK(*(row.wanted().end() - 2) == kFirstText + static_cast<std::int64_t>(tokens) - 1);
  }
}

TEST_CASE("every division into spans is drawn, none twice as often as it should be") {
  std::map<std::size_t, int> first_kept;
  constexpr int kDraws = 6000;
  for (int start = 0; start < kDraws; ++start) {
    const auto places = span_target_places(make_draw(), static_cast<std::uint64_t>(start), 34);
    ++first_kept[places.front()];
  }
  // 5 dropped in 2 spans, 29 kept in 2 runs: the first is 1 to 28 long.
  CHECK(first_kept.size() == 28);
  for (const auto& [kept, count] : first_kept) {
    const auto& length = kept;
    CAPTURE(length);
    CHECK(count == doctest::Approx(kDraws / 28.0).epsilon(0.3));
  }
}

TEST_CASE("the draw depends on seed and start, and padding on neither") {
  const Row row(make_draw(), 0, 40, 64);
  CHECK(restored(row) == make_text(40));
  const SpanLengths used = span_lengths(40);
  for (std::size_t i = 0; i < row.lengths.source; ++i) {
    CHECK(row.first_key[i] == static_cast<std::int32_t>(i < used.source ? 0 : i));
  }
  for (std::size_t i = used.target; i < row.lengths.target; ++i) CHECK(row.wanted()[i] == -1);
  CHECK(Row(make_draw(), 0, 40, 64).ids == row.ids);
  CHECK(Row(make_draw(8), 0, 40, 64).ids != row.ids);
  CHECK(Row(make_draw(), 1, 40, 64).ids != row.ids);
  const Row single(make_draw(), 0, 1, 64);
  CHECK(single.ids[0] == kFirstText);
  CHECK(single.ids[1] == 1);
  CHECK(std::all_of(single.targets.begin(), single.targets.end(),
                    [](std::int64_t id) { return id == -1; }));
}

TEST_CASE("each target asks for a token of the text, a sentinel for the first of its span") {
  const Row row(make_draw(), 5, 64, 64);
  const auto places = span_target_places(make_draw(), 5, 64);
  REQUIRE(places.size() == row.lengths.target);
  for (std::size_t i = 0; i < places.size(); ++i) {
    const std::int64_t id = row.wanted()[i];
    if (id >= kFirstText) CHECK(places[i] == static_cast<std::size_t>(id - kFirstText));
    if (id < kFirstText && id > 1) CHECK(places[i] == places[i + 1]);
  }
  CHECK(places.back() == 63);
}

TEST_CASE("ids come from config.json, sentinels from the tokenizer, or it is refused") {
  const TempFolder folder = test::scratch();
  test::write_letter_tokenizer(folder.path());
  const auto without = Tokenizer::open(folder.path());
  const nlohmann::json config = {{"eos_token_id", 2u}, {"decoder_start_token_id", 3u}};
  CHECK(test::error_of([&] { read_span_draw(config, without, 29, 64, 0); }) ==
        "incompatible: tokenizer: has 0 sentinels <extra_id_0> … within the model's vocabulary of "
        "29, windows of 64 tokens need 3");
  std::string text = read_file(folder.path() / "tokenizer.json", 1 << 20);
  const auto token = [](int id, int number) {
    return fmt::format(
        R"(, {{"id": {}, "content": "<extra_id_{}>", "single_word": false, "lstrip": false,
              "rstrip": false, "normalized": false, "special": true}})",
        id, number);
  };
  text.insert(text.find(R"(],
                 "normalizer")"),
              token(29, 1) + token(30, 0));
  write_file(folder.path() / "tokenizer.json", text);
  const auto with = Tokenizer::open(folder.path());
  const SpanDraw draw = read_span_draw(config, with, 40, 34, 9);
  CHECK(draw.sentinels == std::vector<std::int32_t>{30, 29});
  CHECK(draw.end == 2);
  CHECK(draw.start == 3);
  CHECK(read_span_draw({{"pad_token_id", 5u}}, with, 40, 34, 9).start == 5);
  CHECK(test::error_of([&] { read_span_draw(config, with, 30, 34, 0); }).find("has 0 sentinels") !=
        std::string::npos);
  CHECK(test::error_of([&] { read_span_draw(config, with, 40, 64, 0); }).find("has 2 sentinels") !=
        std::string::npos);
  CHECK(test::error_of([&] {
          read_span_draw({{"eos_token_id", 40u}}, with, 40, 30, 0);
        }).find("expected an id below 40") != std::string::npos);
}

}  // namespace organ::train
