// SPDX-License-Identifier: Apache-2.0
#include "transplant/journal.h"

#include <doctest/doctest.h>

#include "format/base/file.h"
#include "tests/support/checkpoint_maker.h"
#include "tests/support/support.h"
#include "transplant/internal/transaction.h"

using namespace organ;
using namespace organ::transplant;
namespace fs = std::filesystem;

namespace {

// A folder whose file `weights` is to become `new`, staged and decided but not applied.
struct Pending {
  TempFolder folder = test::scratch();
  StateFolder state{folder.path()};
  Change change{Change::Kind::install, 1, {{"weights", sha256("old"), sha256("new")}}};

  Pending() {
    write_file(folder.path() / "weights", "old");
    for (const fs::path& path :
         {state.root, state.stage(), state.staged_files(), state.staged_undo()}) {
      make_folder(path);
    }
    write_file(state.staged_files() / "weights", "new");
    write_file(state.staged_receipt(), "{}");
  }
  void decide() { write_file(state.journal(), change.to_text()); }
  std::string weights() { return read_file(folder.path() / "weights", 100); }
};

}  // namespace

TEST_CASE("a folder without pending change is not touched") {
  const TempFolder folder = test::scratch();
  CHECK(recover_journal(folder.path()) == Recovery::nothing);
  CHECK(list_folder(folder.path()).empty());
}

TEST_CASE("a stage without a journal is forgotten") {
  Pending pending;
  CHECK(recover_journal(pending.folder.path()) == Recovery::discarded);
  CHECK(pending.weights() == "old");
  CHECK_FALSE(fs::exists(pending.state.stage()));
  CHECK(recover_journal(pending.folder.path()) == Recovery::nothing);
}

TEST_CASE("a decided change is finished, from whatever step it had reached") {
  for (const bool renamed : {false, true}) {
    Pending pending;
    pending.decide();
    if (renamed) {
      fs::rename(pending.state.staged_files() / "weights", pending.folder.path() / "weights");
    }
    CHECK(recover_journal(pending.folder.path()) == Recovery::completed);
    CHECK(pending.weights() == "new");
    CHECK(fs::exists(pending.state.receipt(1)));
    CHECK_FALSE(fs::exists(pending.state.journal()));
  }
}

TEST_CASE("recovery refuses a file that is neither old nor new and changes nothing") {
  Pending pending;
  pending.decide();
  write_file(pending.folder.path() / "weights", "other");
  const auto refusal = [&] {
    return test::error_of([&] { recover_journal(pending.folder.path()); });
  };
  CHECK(refusal().starts_with("corrupt: "));
  CHECK(refusal().find("the pending change expects") != std::string::npos);
  CHECK(pending.weights() == "other");
  write_file(pending.folder.path() / "weights", "old");
  write_file(pending.state.staged_files() / "weights", "torn");
  CHECK(refusal().starts_with("corrupt: "));
  CHECK(pending.weights() == "old");
}

TEST_CASE("a journal that names a path outside the folder is refused") {
  Pending pending;
  pending.change.files[0].path = "../weights";
  pending.decide();
  CHECK(test::error_of([&] {
          recover_journal(pending.folder.path());
        }).find("is not a safe file name") != std::string::npos);
  write_file(pending.state.journal(), "{\"schema_version\": 7}");
  CHECK(test::error_of([&] {
          recover_journal(pending.folder.path());
        }).starts_with("unsupported_version"));
  write_file(pending.state.journal(), "");
  CHECK(test::error_of([&] { recover_journal(pending.folder.path()); }).starts_with("corrupt"));
}
