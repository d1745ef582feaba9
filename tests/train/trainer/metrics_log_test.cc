// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/metrics_log.h"

#include <algorithm>
#include <fstream>

#include <doctest/doctest.h>

#include "format/base/file.h"
#include "tests/support/support.h"

namespace organ::train {
namespace {

namespace fs = std::filesystem;

StepMetrics step(std::uint64_t number, std::size_t windows) {
  StepMetrics metrics;
  metrics.step = number;
  metrics.windows.assign(windows, INT64_MAX);
  return metrics;
}

// Steps 1 to `steps` and an evaluation of each.
void write_log(const fs::path& folder, std::uint64_t steps, std::size_t windows) {
  MetricsLog log(folder, 0, std::nullopt);
  log.write(RunMetrics{});
  for (std::uint64_t i = 1; i <= steps; ++i) {
    log.write(step(i, windows));
    log.write(EvaluationMetrics{i, 1.5, 10});
  }
  log.sync();
}

std::string text_of(const fs::path& folder) {
  return read_file(folder / "metrics.jsonl", std::uint64_t{1} << 30);
}

std::size_t lines_of(const fs::path& folder) {
  const std::string text = text_of(folder);
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

TEST_CASE("a resumed run keeps the lines up to its state, byte for byte") {
  const auto folder = test::scratch();
  write_log(folder.path(), 5, 3);
  const std::string whole = text_of(folder.path());
  { const MetricsLog all(folder.path(), 5, 5); }
  CHECK(text_of(folder.path()) == whole);
  { const MetricsLog earlier(folder.path(), 3, 2); }
  CHECK(lines_of(folder.path()) == 1 + 2 * 2 + 1);  // run, two steps with evaluations, step 3
  CHECK(whole.starts_with(text_of(folder.path())));
  MetricsLog log(folder.path(), 3, 2);
  CHECK_FALSE(log.empty());
  log.write(step(4, 3));
  CHECK(lines_of(folder.path()) == 7);
}

TEST_CASE("the longest lines that a run writes are kept") {
  const auto folder = test::scratch();
  write_log(folder.path(), 3, 65536);
  const std::string whole = text_of(folder.path());
  CHECK(whole.size() > std::size_t{3} * 65536 * 19);
  { const MetricsLog all(folder.path(), 3, 3); }
  CHECK(text_of(folder.path()) == whole);
}

TEST_CASE("no log is too long to be continued, and what is foreign in it is cut off") {
  const auto folder = test::scratch();
  write_log(folder.path(), 2, 3);
  const std::string whole = text_of(folder.path());
  const fs::path path = folder.path() / "metrics.jsonl";
  fs::resize_file(path, std::uint64_t{1100} << 20);  // zeros, without a line feed
  { const MetricsLog log(folder.path(), 2, 2); }
  CHECK(text_of(folder.path()) == whole);
  for (const std::string rest : {"{\"event\":\"step\",\"st", "no line\n{}\n", "\n", "\xff\n"}) {
    std::ofstream(path, std::ios::app) << rest;
    { const MetricsLog log(folder.path(), 2, 2); }
    CHECK(text_of(folder.path()) == whole);
  }
}

TEST_CASE("a new log is empty, and what is no file is refused") {
  const auto folder = test::scratch();
  CHECK(MetricsLog(folder.path() / "new", 0, std::nullopt).empty());
  CHECK(text_of(folder.path() / "new").empty());
  fs::create_directories(folder.path() / "other" / "metrics.jsonl");
  CHECK(test::error_of([&] {
          MetricsLog(folder.path() / "other", 0, std::nullopt);
        }).starts_with("corrupt: "));
}

}  // namespace organ::train
