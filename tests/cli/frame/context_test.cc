// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/context.h"

#include <doctest/doctest.h>

#include <iostream>
#include <sstream>

using organ::cli::Context;

namespace {

// What is written to std::cerr while one lives.
class Heard {
 public:
  Heard() : before_(std::cerr.rdbuf(text_.rdbuf())) {}
  ~Heard() { std::cerr.rdbuf(before_); }
  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::streambuf* before_;
};

}  // namespace

TEST_CASE("context: what is said while a meter has the line comes behind it, in order") {
  const Context context;
  const Heard heard;
  {
    const Context::Silence silence(context);
    context.note("first");
    context.warn("second");
    CHECK(heard.text().empty());
  }
  CHECK(heard.text() == "first\nwarning: second\n");
  context.note("third");
  CHECK(heard.text() == "first\nwarning: second\nthird\n");
}
