// SPDX-License-Identifier: Apache-2.0
#include "transplant/untouched.h"

#include <doctest/doctest.h>

#include "format/base/file.h"
#include "tests/support/checkpoint_maker.h"
#include "tests/support/support.h"
#include "tests/support/watcher.h"
#include "transplant/extract.h"
#include "transplant/install.h"

using namespace organ;
using namespace organ::transplant;
using test::error_of;
namespace fs = std::filesystem;

namespace {

// A recipient and an untouched copy of it; organs of two layers of other weights come in at will.
struct Bench {
  TempFolder folder = test::scratch();
  fs::path model = folder.path() / "model", original = folder.path() / "original";
  std::uint64_t organs = 0;

  explicit Bench(unsigned shards = 1) {
    for (const fs::path& path : {model, original}) {
      test::make_checkpoint(path, test::small_config(), {.shards = shards});
    }
  }
  void install(std::uint64_t position) {
    ++organs;
    const fs::path donor = folder.path() / ("donor" + std::to_string(organs));
    const fs::path cut = folder.path() / ("organ" + std::to_string(organs));
    test::make_checkpoint(donor, test::small_config(), {.seed = 10 + organs});
    extract_organ(format::Checkpoint::open(donor), {0, 2}, cut, {.donor_id = "donor"});
    install_organ(format::OrganFolder::open(cut), model,
                  {.position = position, .out = {}, .trust = {}, .source = "organ"});
  }
  std::string refusal() const {
    return error_of([&] { open_untouched(model); });
  }
};

bool equal_tensors(const format::Checkpoint& a, const format::Checkpoint& b) {
  for (const auto& shard : b.shards()) {
    for (const auto& tensor : shard.file.header().tensors) {
      if (a.read(a.locate(tensor.name)) != b.read(b.locate(tensor.name))) return false;
    }
  }
  return true;
}

void flip_last_byte(const fs::path& path) {
  std::string bytes = read_file(path, 1 << 20);
  bytes.back() ^= 1;
  fs::permissions(path, fs::perms::owner_write, fs::perm_options::add);
  write_file(path, bytes);
}

}  // namespace

TEST_CASE("the view holds every tensor as it was before all organs, and writes nothing") {
  for (const unsigned shards : {1u, 3u}) {
    CAPTURE(shards);
    Bench bench(shards);
    const auto original = format::Checkpoint::open(bench.original);
    for (const std::uint64_t position : {0, 1, 2}) {  // each takes a layer of the one before
      bench.install(position);
      const auto files = test::digests_of(bench.model);
      CHECK_FALSE(equal_tensors(format::Checkpoint::open(bench.model), original));
      CHECK(equal_tensors(open_untouched(bench.model), original));
      CHECK(test::digests_of(bench.model) == files);
    }
    uninstall_organ(bench.model);
    test::Watcher watcher;
    CHECK(equal_tensors(open_untouched(bench.model, Work(&watcher)), original));
    CHECK(watcher.names() == std::vector<std::string>{"reading what was kept"});
    for (std::uint64_t step = 0; step < watcher.steps(); ++step) {
      test::Watcher ending(step);
      CHECK(error_of([&] { open_untouched(bench.model, Work(&ending)); }) ==
            "cancelled: cancelled");
    }
  }
}

TEST_CASE("a folder without an organ has no such view") {
  CHECK(Bench().refusal().find("not_found: ") == 0);
}

TEST_CASE("the view is refused when a shard or what was kept of it is damaged") {
  SUBCASE("the shard") {
    Bench bench;
    bench.install(1);
    flip_last_byte(bench.model / "model.safetensors");
    CHECK(bench.refusal().find("changed since the installation") != std::string::npos);
  }
  SUBCASE("what was kept") {
    Bench bench;
    bench.install(1);
    flip_last_byte(bench.model / ".organ/undo/0001/model.safetensors");
    CHECK(bench.refusal().find("the undo data is damaged") != std::string::npos);
  }
  SUBCASE("receipts of two histories") {
    Bench bench, other;
    bench.install(1);
    bench.install(2);
    other.install(0);
    for (const char* part : {"receipts/0001.json", "undo/0001/model.safetensors"}) {
      fs::copy_file(other.model / ".organ" / part, bench.model / ".organ" / part,
                    fs::copy_options::overwrite_existing);
    }
    CHECK(bench.refusal().find("do not follow each other") != std::string::npos);
  }
}
