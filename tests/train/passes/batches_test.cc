// SPDX-License-Identifier: Apache-2.0
#include "tests/train/support/doctest.h"

#include <cmath>
#include <numeric>
#include <span>

#include <ATen/ops/tensor.h>

#include "format/base/file.h"
#include "tests/support/support.h"
#include "tests/train/support/fixture.h"
#include "tests/train/support/letter_tokenizer.h"
#include "train/data/task.h"
#include "train/passes/batches.h"
#include "train/passes/run_layers.h"
#include "train/tokenizer/tokenizer.h"

namespace organ::test {
namespace {

using train::Batch;
using train::LossSum;
using train::Model;

LossSum loss_of(Model& model, const Batch& batch) {
  const at::Tensor x = train::run_model(model, batch);
  return model.head_loss(x, batch);
}

// One document and nothing else.
Batch alone(std::span<const std::int32_t> document) {
  std::vector<std::int64_t> ids(document.begin(), document.end());
  std::vector<std::int64_t> targets(ids.begin() + 1, ids.end());
  targets.push_back(-1);
  return {.rows = 1,
          .length = static_cast<std::int64_t>(ids.size()),
          .ids = at::tensor(ids),
          .targets = at::tensor(targets),
          .first_key = {},
          .end_key = {}};
}

void check_same(const at::Tensor& row, const at::Tensor& expected) {
  REQUIRE(row.defined() == expected.defined());
  if (row.defined()) CHECK(row.equal(expected));
}

// Every row of the batch of all windows, against the batch that its window alone gives.
void check_rows(const train::Dataset& data) {
  std::vector<std::int64_t> windows(static_cast<std::size_t>(data.windows()));
  std::iota(windows.begin(), windows.end(), 0);
  const Batch all = make_batch(data, windows);
  for (const std::int64_t window : windows) {
    CAPTURE(window);
    const Batch row = train::row_of(all, window), alone = make_batch(data, {&window, 1});
    CHECK(row.rows == 1);
    CHECK(row.length == alone.length);
    CHECK(row.source == alone.source);
    check_same(row.ids, alone.ids);
    check_same(row.targets, alone.targets);
    check_same(row.first_key, alone.first_key);
    check_same(row.end_key, alone.end_key);
  }
}

}  // namespace

TEST_CASE("a row of a batch is the batch of its window, under every task and packing") {
  const TempFolder folder = scratch();
  const auto tokenizer = train::Tokenizer::open(write_letter_tokenizer(folder.path()));
  const auto file = folder.path() / "a.txt";
  // Windows of one document and of several, full and padded.
  write_file(file, "a first document that is longer than a window\n\nanother\n\nb\n\nlast one");
  for (const auto packing : {train::Packing::concat, train::Packing::ffd}) {
    CAPTURE(train::to_string(packing));
    const auto read = [&] {
      return train::Dataset::from_texts({file}, tokenizer, 29,
                                        {.context = 16,
                                         .texts = {.split = train::DocumentSplit::blank_lines},
                                         .packing = packing});
    };
    REQUIRE(read().windows() > 2);
    check_rows(read());
    auto hidden = read();
    hidden.hide_tokens({.seed = 1, .mask_id = 28, .vocab_size = 29, .never = {}});
    check_rows(hidden);
    auto spans = read();
    spans.drop_spans({.seed = 1, .sentinels = {28, 27, 26}});
    check_rows(spans);
  }
}

namespace {

// The losses of packed windows of `text` and of its documents alone.
struct PackedAndAlone {
  LossSum packed, separate;

  PackedAndAlone(Model& model, const train::Dataset& data) {
    for (std::int64_t window = 0; window < data.windows(); ++window) {
      add(packed, loss_of(model, make_batch(data, {&window, 1})));
    }
    const auto starts = data.stream().document_starts();
    for (std::size_t i = 0; i < starts.size(); ++i) {
      const auto start = static_cast<std::size_t>(starts[i]);
      const auto end = i + 1 < starts.size() ? static_cast<std::size_t>(starts[i + 1])
                                             : static_cast<std::size_t>(data.tokens());
      add(separate, loss_of(model, alone(data.stream().ids().subspan(start, end - start))));
    }
    CHECK(packed.targets == separate.targets);
    CHECK(packed.nll == doctest::Approx(separate.nll).epsilon(1e-6));
  }

 private:
  static void add(LossSum& sum, const LossSum& more) {
    sum.nll += more.nll;
    sum.targets += more.targets;
  }
};

train::Dataset packed_documents(const std::filesystem::path& folder, std::string_view text,
                                std::int64_t context) {
  const auto tokenizer = train::Tokenizer::open(write_letter_tokenizer(folder));
  write_file(folder / "a.txt", text);
  return train::Dataset::from_texts({folder / "a.txt"}, tokenizer, 29,
                                    {.context = context,
                                     .texts = {.split = train::DocumentSplit::blank_lines},
                                     .packing = train::Packing::ffd});
}

}  // namespace

TEST_CASE("a packed document's loss is that of the document alone, in every family") {
  const TempFolder folder = scratch();
  const auto data = packed_documents(
      folder.path(), "the first document\n\nanother\n\nthird one\n\nlast of them all", 32);
  REQUIRE(data.windows() == 2);
  for (const std::string& name : fixture_names()) {
    CAPTURE(name);
    const Fixture fixture(name);
    if (train::task_of(fixture.checkpoint.architecture()) != train::Task::next_token) continue;
    if (fixture.checkpoint.architecture().spec().rope_scaling.kind == "dynamic") continue;
    Model model = Model::load(fixture.checkpoint, {});
    PackedAndAlone(model, data);
  }
}

// Dynamic scaling follows the length of the sequence, as in transformers: of what is packed into a
// longer window no document would be turned as it is alone.
TEST_CASE("dynamic scaling knows documents in windows up to its length, in longer ones refuses") {
  const TempFolder folder = scratch();
  const Fixture fixture("llama_dynamic");
  const auto known = static_cast<std::int64_t>(fixture.checkpoint.architecture().max_positions());
  Model model = Model::load(fixture.checkpoint, {});
  const auto text = "the first\n\nanother\n\nthird one\n\nlast of all";
  const auto fitting = packed_documents(folder.path(), text, known);
  REQUIRE(fitting.windows() > 1);
  PackedAndAlone(model, fitting);
  const auto longer = packed_documents(folder.path(), text, 2 * known);
  const std::int64_t window = 0;
  const std::string error = error_of([&] { loss_of(model, make_batch(longer, {&window, 1})); });
  CHECK(error.starts_with("incompatible: dynamic rope scaling: a window of 32 positions"));
  CHECK_NOTHROW(loss_of(model, alone(longer.stream().ids().first(2 * known))));
}

TEST_CASE("a short window's loss is that of its text alone, whatever stands beside it") {
  const TempFolder folder = scratch();
  const auto tokenizer = train::Tokenizer::open(write_letter_tokenizer(folder.path()));
  const auto file = folder.path() / "a.txt";
  write_file(file, "a text of some words and then some");
  auto data = train::Dataset::from_texts({file}, tokenizer, 29, {.context = 24});
  const train::SpanDraw draw{.seed = 3, .sentinels = {28, 27}};
  data.drop_spans(draw);
  REQUIRE(data.windows() == 2);
  const Fixture fixture("t5");
  Model model = Model::load(fixture.checkpoint, {});
  const std::vector<std::int64_t> both = {0, 1};
  const LossSum together = loss_of(model, make_batch(data, both));
  CHECK(together.targets == data.targets_in(0) + data.targets_in(1));
  LossSum apart = loss_of(model, make_batch(data, {both.data(), 1}));
  // The last window as one without padding.
  const std::int64_t rest = data.tokens() - 24;
  auto alone = train::Dataset::from_texts({file}, tokenizer, 29, {.context = rest});
  alone.drop_spans(draw);
  Batch batch = make_batch(alone, {both.data(), 1});
  std::vector<std::int64_t> ids(static_cast<std::size_t>(alone.row_length())), targets = ids;
  std::vector<std::int32_t> first_key(ids.size());
  alone.fill_spans(24, rest, {ids, targets, first_key});
  batch.ids = at::tensor(ids);
  batch.targets = at::tensor(targets);
  const LossSum last = loss_of(model, batch);
  apart.nll += last.nll;
  apart.targets += last.targets;
  CHECK(apart.targets == together.targets);
  CHECK(apart.nll == doctest::Approx(together.nll).epsilon(1e-6));
}

}  // namespace organ::test
