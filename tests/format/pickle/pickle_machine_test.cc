// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/internal/pickle_machine.h"

#include <doctest/doctest.h>

#include "tests/support/support.h"

namespace organ::format::internal {
namespace {

using test::error_of;
using namespace std::string_literals;
using namespace std::string_view_literals;

Pickled run(std::string_view bytes, const PickleLimits& limits = {}) {
  return PickleMachine(bytes, "data.pkl", limits).run();
}

TEST_CASE("each kind of value is what the opcodes say") {
  CHECK(run("\x80\x02N."sv).root.kind == Kind::none);
  CHECK(run("\x80\x02\x88."sv).root.number == 1);
  CHECK(run("\x80\x02K\xff."sv).root.number == 255);
  CHECK(run("\x80\x02M\x00\x80."sv).root.number == 0x8000);
  CHECK(run("\x80\x02J\xff\xff\xff\xff."sv).root.number == -1);
  CHECK(run("\x80\x02\x8a\x00."sv).root.number == 0);
  CHECK(run("\x80\x02\x8a\x01\x80."sv).root.number == -128);
  CHECK(run("\x80\x02\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f."sv).root.number == INT64_MAX);
  CHECK(run("\x80\x02\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01."sv).root.kind ==
        Kind::big_integer);
  // Python's own pickle writes no sign twice, but reads it.
  CHECK(run("\x80\x02\x8a\x0a\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00."sv).root.number == 7);
  CHECK(run("\x80\x02\x8a\x09\xfe\xff\xff\xff\xff\xff\xff\xff\xff."sv).root.number == -2);
  CHECK(run("\x80\x02\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\x00."sv).root.kind ==
        Kind::big_integer);
  const Pickled text = run("\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00\x8c\x02hi\x94."sv);
  CHECK(text.text(text.root) == "hi");
  const Pickled list = run("\x80\x02]q\x00(K\x01N)eh\x00\x86."sv);
  CHECK(list.root.kind == Kind::tuple);
  CHECK(list.items(list.items(list.root)[1]).size() == 3);
  const Pickled dict = run("\x80\x02}(K\x01K\x02K\x03K\x04u."sv);
  CHECK(dict.items(dict.root).size() == 4);
  CHECK(dict.end == 14);
}

TEST_CASE("a second pickle starts with nothing that the first one knew") {
  PickleMachine machine("\x80\x02Nq\x07.\x80\x02h\x07."sv, "x");
  CHECK(machine.run().end == 6);
  CHECK(error_of([&] { machine.run(6); }) == "corrupt: 'x': byte 8: value 7 was never remembered");
}

// What the closed list lacks is refused where it is named, whatever would be done with it.
TEST_CASE("a global outside the list is refused with its name and its place") {
  for (const std::string_view name :
       {"os\nsystem", "posix\nsystem", "builtins\neval", "__builtin__\nexec", "torch\nload",
        "torch._utils\n_rebuild", "collections\nCounter", "torch.storage\n_load_from_bytes"}) {
    std::string shown(name);
    shown[shown.find('\n')] = '.';
    const std::string said = error_of([&] { run("\x80\x02" + ("c" + std::string(name)) + "\n."); });
    CHECK(said.starts_with("corrupt: 'data.pkl': byte 2: names '" + shown + "'"));
  }
}

TEST_CASE("limits end a pickle before it fills the memory") {
  PickleLimits limits;
  limits.stack = 4;
  limits.texts = limits.containers = limits.memo = limits.tensors = 3;
  const auto refused = [&](std::string_view bytes, std::string_view words) {
    const std::string message = error_of([&] { run(bytes, limits); });
    CHECK_MESSAGE(message.find(words) != message.npos, message);
  };
  refused("\x80\x02NNNNN."sv, "more than 4 values at one time");
  refused("\x80\x02((((((."sv, "more than 4 marks");
  refused("\x80\x02)0)0)0)0."sv, "more than 3 containers");
  refused(
      "\x80\x04\x8c\x00"
      "0\x8c\x00"
      "0\x8c\x00"
      "0\x8c\x00."sv,
      "more than 3 texts");
  refused("\x80\x02Nq\x01q\x02q\x03q\x04."sv, "remembers more than 3");
  refused("\x80\x02](NNe(NNe(Ne."sv, "a container of more than 4 values");
}

TEST_CASE("no byte of a pickle may be missing") {
  const std::string good =
      "\x80\x02}X\x01\x00\x00\x00w"
      "ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
      "X\x01\x00\x00\x00"
      "0X\x03\x00\x00\x00"
      "cpuK\x02tQK\x00K\x02\x85K\x01\x85\x89"
      "ccollections\nOrderedDict\n)RtRs."s;
  const Pickled whole = run(good);
  REQUIRE(whole.tensors.size() == 1);
  CHECK(whole.tensors[0].shape == Shape{2});
  CHECK(whole.storages[0].elements == 2);
  for (std::size_t size = 0; size < good.size(); ++size) {
    CHECK(error_of([&] { run(good.substr(0, size)); }).starts_with("corrupt: "));
  }
}

}  // namespace
}  // namespace organ::format::internal
