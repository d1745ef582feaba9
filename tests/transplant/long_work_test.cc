// SPDX-License-Identifier: Apache-2.0
// Extract, check, install and uninstall as long work.
#include <doctest/doctest.h>

#include "tests/support/checkpoint_maker.h"
#include "tests/support/support.h"
#include "tests/support/watcher.h"
#include "transplant/extract.h"
#include "transplant/install.h"

using namespace organ;
using namespace organ::transplant;
using test::end_at_every_step;
using test::Watcher;
namespace fs = std::filesystem;

namespace {

using Names = std::vector<std::string>;

// A model in shards with a file beside them, and an organ of another donor's layers.
struct Bench {
  TempFolder folder = test::scratch();
  fs::path model = folder.path() / "model";
  fs::path organ_path = folder.path() / "organ";

  explicit Bench(unsigned shards = 2) {
    test::make_checkpoint(model, test::small_config(), {.shards = shards});
    test::make_checkpoint(folder.path() / "donor", test::small_config(), {.seed = 9});
    write_file(model / "notes.txt", "anything");
    extract("donor", organ_path, {});
  }

  void extract(const std::string& from, const fs::path& to, const Work& work) const {
    extract_organ(format::Checkpoint::open(folder.path() / from), {1, 2}, to, {.donor_id = "donor"},
                  work);
  }
  void install(const Work& work, std::optional<fs::path> out = std::nullopt,
               bool hard_link = false) const {
    install_organ(format::OrganFolder::open(organ_path), model,
                  {.position = 1,
                   .out = std::move(out),
                   .hard_link = hard_link,
                   .trust = {},
                   .source = "organ"},
                  work);
  }
};

}  // namespace

TEST_CASE("long work: every phase does what it announced") {
  const Bench bench;
  Watcher extracting, installing, beside, linked, undoing;
  bench.extract("model", bench.folder.path() / "cut", Work(&extracting));
  CHECK(extracting.names() == Names{"extracting"});
  test::check_phases(extracting);

  bench.install(Work(&installing));
  CHECK(installing.names() == Names{"comparing layers", "verifying", "reading the model", "writing",
                                    "checking the model"});
  test::check_phases(installing);
  std::uint64_t written = 0;  // what is replaced is read again as undo data
  const Receipt receipt = read_receipts(bench.model).back();
  for (const FileChange& file : receipt.files) {
    if (!file.undo) continue;
    written += fs::file_size(bench.model / file.path) +
               fs::file_size(bench.model / ".organ/undo/0001" / file.path);
  }
  CHECK(installing.phases().at(3).total == written);

  // The undo data of the first installation goes along.
  bench.install(Work(&beside), bench.folder.path() / "out");
  CHECK(beside.names() == Names{"comparing layers", "verifying", "reading the model", "writing",
                                "copying", "checking the model"});
  test::check_phases(beside);
  bench.install(Work(&linked), bench.folder.path() / "linked", true);
  test::check_phases(linked);

  uninstall_organ(bench.model, Work(&undoing));
  CHECK(undoing.names() == Names{"checking undo data", "restoring", "proving"});
  test::check_phases(undoing);
}

TEST_CASE("long work: extract that is ended at any step leaves no folder") {
  const Bench bench;
  const fs::path out = bench.folder.path() / "cut";
  const auto steps = end_at_every_step(
      bench.folder.path(), [&](const Work& work) { bench.extract("model", out, work); });
  CHECK(steps > 40);
  CHECK(format::verify_contents(format::OrganFolder::open(out)).empty());
}

TEST_CASE("long work: install that is ended at any step leaves the model as it was") {
  const Bench bench(24);  // each is a step
  const auto before = test::digests_of(bench.model);
  std::optional<fs::path> out;
  SUBCASE("in place") {}
  SUBCASE("into a new folder") { out = bench.folder.path() / "out"; }
  const auto steps =
      end_at_every_step(bench.folder.path(), [&](const Work& work) { bench.install(work, out); });
  CHECK(steps > 40);
  CHECK(read_receipts(out.value_or(bench.model)).size() == 1);
  CHECK((test::digests_of(bench.model) == before) == out.has_value());
}

TEST_CASE("long work: uninstall is ended before its commit point or completed") {
  const Bench bench(16);  // each is a step
  const auto before = test::digests_of(bench.model);
  bench.install({});
  UninstallOutcome outcome;
  const auto steps = end_at_every_step(
      bench.folder.path(), [&](const Work& work) { outcome = uninstall_organ(bench.model, work); });
  CHECK(steps > 10);
  CHECK(test::digests_of(bench.model) == before);
  CHECK_FALSE(fs::exists(bench.model / ".organ"));
  // The step that was too late fell into the proof, which went on to its end.
  CHECK(outcome.proved.size() == before.size());
}
