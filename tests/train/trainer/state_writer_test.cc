// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/internal/state_writer.h"

#include <doctest/doctest.h>

#include <future>
#include <stdexcept>
#include <vector>

#include "format/base/fail.h"
#include "tests/support/support.h"

namespace organ::train {
using test::error_of;

TEST_CASE("a state is written beside its caller, one after the other") {
  std::promise<void> go_on;
  std::vector<int> written;
  {
    StateWriter writer;
    writer.start([&, wait = go_on.get_future().share()] {
      wait.wait();
      written.push_back(1);
    });
    CHECK(written.empty());  // start() came back before the end
    go_on.set_value();
    writer.start([&] { written.push_back(2); });
    CHECK(written.front() == 1);
    writer.finish();
    CHECK(written == std::vector<int>{1, 2});
    writer.finish();
    writer.start([&] { written.push_back(3); });
  }
  CHECK(written == std::vector<int>{1, 2, 3});
}

TEST_CASE("what a writing failed with is thrown once, by whoever comes next") {
  StateWriter writer;
  const auto fails = [] { fail(ErrorCode::io, "no space left"); };
  writer.start(fails);
  CHECK(error_of([&] { writer.start([] {}); }) == "io: no space left");
  writer.start(fails);
  CHECK(error_of([&] { writer.finish(); }) == "io: no space left");
  CHECK(error_of([&] { writer.finish(); }) == "no error");
}

}  // namespace organ::train
