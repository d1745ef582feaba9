// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "tests/train/support/ids_file.h"
#include "train/probes/data_probes.h"
#include "train/probes/model_probes.h"

namespace organ::train {
namespace {

// Rows that count up, the last `padding` of each filled with 0.
Dataset rows_with_padding(std::size_t padding) {
  constexpr std::size_t kRows = 4, kLength = 32;
  std::vector<std::int64_t> ids;
  for (std::size_t i = 0; i < kRows * kLength; ++i) {
    ids.push_back(i % kLength + padding < kLength ? static_cast<std::int64_t>(1 + i % 40) : 0);
  }
  return test::dataset_of(ids, kLength, 50);
}

}  // namespace

TEST_CASE("rows that end in padding are found, and what helps is said") {
  const auto padded = probe_trailing_padding(rows_with_padding(16).stream());
  CHECK_FALSE(padded.passed);
  CHECK(padded.name == "padding");
  CHECK(padded.measured == doctest::Approx(16.0 / 31));
  CHECK(padded.code == ErrorCode::invalid_argument);
  CHECK(padded.hint.find("--pad-id") == 0);
  CHECK(probe_trailing_padding(rows_with_padding(0).stream()).passed);
  CHECK(probe_trailing_padding(rows_with_padding(7).stream()).measured == 0);
}

namespace {

// Rows of 32: every `every`-th ends in 16 of `id`, the others count up to their own end.
Dataset rows_that_end(std::size_t every, std::int64_t id) {
  constexpr std::size_t kRows = 12, kLength = 32;
  std::vector<std::int64_t> ids;
  for (std::size_t row = 0; row < kRows; ++row) {
    for (std::size_t i = 0; i < kLength; ++i) {
      const bool run = row % every == 0 && i >= kLength / 2;
      ids.push_back(run ? id : static_cast<std::int64_t>(2 + (row + i) % 40));
    }
  }
  return test::dataset_of(ids, kLength, 50);
}

}  // namespace

TEST_CASE("runs of prose, tables and genomes are text, those of what fills rows up are not") {
  const std::int64_t padding[] = {1, 7};
  // A line of dashes ends every third row.
  const auto dashes = rows_that_end(3, 45);
  CHECK(probe_trailing_padding(dashes.stream()).passed);
  CHECK(probe_trailing_padding(dashes.stream(), padding).measured == 0);
  // The same of an id that fills rows up, or of one in most of them.
  CHECK_FALSE(probe_trailing_padding(rows_that_end(3, 7).stream(), padding).passed);
  CHECK(probe_trailing_padding(rows_that_end(3, 7).stream()).passed);
  CHECK_FALSE(probe_trailing_padding(rows_that_end(1, 45).stream(), padding).passed);
  CHECK(probe_trailing_padding(rows_that_end(2, 45).stream(), padding).passed);
}

TEST_CASE("a held-out text that training knows fails") {
  CHECK(overlap_finding(0.02).passed);
  CHECK_FALSE(overlap_finding(0.5).passed);
  CHECK(overlap_finding(0.5).name == "overlap");
}

}  // namespace organ::train
