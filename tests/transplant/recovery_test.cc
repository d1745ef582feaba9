// SPDX-License-Identifier: Apache-2.0
#include "transplant/journal.h"

#include <sys/stat.h>

#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "format/base/file.h"
#include "tests/support/checkpoint_maker.h"
#include "tests/support/support.h"
#include "transplant/install.h"
#include "transplant/internal/transaction.h"
#include "transplant/receipt.h"

using namespace organ;
using namespace organ::transplant;
namespace fs = std::filesystem;

namespace {

// A folder whose file `weights` is to become `new`, staged and decided but not applied.
struct Staged {
  TempFolder folder = test::scratch();
  StateFolder state{folder.path()};
  Change change{Change::Kind::install, 1, {{"weights", sha256("old"), sha256("new")}}};

  Staged() {
    write_file(folder.path() / "weights", "old");
    for (const fs::path& path :
         {state.root, state.stage(), state.staged_files(), state.staged_undo()}) {
      state.make(path);
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
  Staged pending;
  CHECK(recover_journal(pending.folder.path()) == Recovery::discarded);
  CHECK(pending.weights() == "old");
  CHECK_FALSE(fs::exists(pending.state.stage()));
  CHECK(recover_journal(pending.folder.path()) == Recovery::nothing);
}

TEST_CASE("a decided change is finished, from whatever step it had reached") {
  for (const bool renamed : {false, true}) {
    Staged pending;
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
  Staged pending;
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
  Staged pending;
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
  std::string text = pending.change.to_text();
  text.replace(text.find("sha256:"), 7, "sha512:");
  write_file(pending.state.journal(), text);
  CHECK(test::error_of([&] { recover_journal(pending.folder.path()); }).starts_with("corrupt"));
}

namespace {

using FileState = Abandoned::FileState;

// Everything below a folder that is no folder, by path.
std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().lexically_relative(folder).string();
    if (entry.is_symlink()) {
      found[name] = "-> " + fs::read_symlink(entry.path()).string();
    } else if (entry.is_regular_file()) {
      found[name] = read_file(entry.path(), 100000);
    }
  }
  return found;
}

}  // namespace

TEST_CASE("who only reads is told of a pending change and changes nothing") {
  Staged pending;
  const auto before = contents(pending.folder.path());
  CHECK(pending_change(pending.folder.path()) == Pending::undecided);
  require_settled(pending.folder.path());
  CHECK(contents(pending.folder.path()) == before);
  pending.decide();
  const auto decided = contents(pending.folder.path());
  CHECK(pending_change(pending.folder.path()) == Pending::decided);
  CHECK(test::error_of([&] { require_settled(pending.folder.path()); }).starts_with("conflict"));
  CHECK(contents(pending.folder.path()) == decided);
}

TEST_CASE("a link or a pipe anywhere in the state folder is refused before anything else") {
  const TempFolder elsewhere = test::scratch();
  write_file(elsewhere.path() / "weights", "new");
  const std::vector<std::string> places = {".organ",
                                           ".organ/stage",
                                           ".organ/stage/files",
                                           ".organ/stage/undo",
                                           ".organ/receipts",
                                           ".organ/undo",
                                           ".organ/undo/0001",
                                           ".organ/journal",
                                           ".organ/lock",
                                           ".organ/stage/files/weights",
                                           ".organ/stage/receipt.json"};
  for (const std::string& place : places) {
    for (const bool pipe : {false, true}) {
      CAPTURE(place);
      CAPTURE(pipe);
      Staged pending;
      pending.decide();
      pending.state.make(pending.state.receipts());
      pending.state.make(pending.state.undos());
      const fs::path path = pending.folder.path() / place;
      const bool to_file = fs::is_regular_file(path) || path.filename() == "lock";
      fs::remove_all(path);
      if (pipe) {
        REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
      } else {
        fs::create_symlink(to_file ? elsewhere.path() / "weights" : elsewhere.path(), path);
      }
      const auto before = contents(pending.folder.path());
      const auto refused = [&](const std::function<void()>& action) {
        CHECK(test::error_of(action).starts_with("corrupt: "));
        CHECK(contents(pending.folder.path()) == before);
        CHECK(contents(elsewhere.path()).size() == 1);
      };
      refused([&] { pending_change(pending.folder.path()); });
      refused([&] { require_settled(pending.folder.path()); });
      refused([&] { recover_journal(pending.folder.path()); });
      refused([&] { abort_change(pending.folder.path()); });
      refused([&] { read_receipts(pending.folder.path()); });
      refused([&] { uninstall_organ(pending.folder.path()); });
    }
  }
}

TEST_CASE("giving a change up leaves every file of the model as it is") {
  SUBCASE("nothing pending") {
    const TempFolder folder = test::scratch();
    CHECK(abort_change(folder.path()).pending == Pending::nothing);
    CHECK(contents(folder.path()).empty());
  }
  SUBCASE("not decided") {
    Staged pending;
    CHECK(abort_change(pending.folder.path()).pending == Pending::undecided);
    CHECK(contents(pending.folder.path()) ==
          std::map<std::string, std::string>{{"weights", "old"}});
  }
  SUBCASE("decided, nothing renamed") {
    Staged pending;
    pending.decide();
    const Abandoned given_up = abort_change(pending.folder.path());
    CHECK(given_up.files == std::map<std::string, FileState>{{"weights", FileState::old}});
    CHECK_FALSE(given_up.aside);
    CHECK(contents(pending.folder.path()) ==
          std::map<std::string, std::string>{{"weights", "old"}});
  }
  SUBCASE("begun, and can be finished") {
    Staged pending;
    pending.decide();
    fs::rename(pending.state.staged_files() / "weights", pending.folder.path() / "weights");
    CHECK(test::error_of([&] { abort_change(pending.folder.path()); }).starts_with("conflict"));
    CHECK(recover_journal(pending.folder.path()) == Recovery::completed);
  }
  SUBCASE("neither old nor new, or a journal that nobody can read") {
    for (const bool readable : {true, false}) {
      Staged pending;
      pending.decide();
      write_file(pending.folder.path() / "weights", "other");
      if (!readable) write_file(pending.state.journal(), "{");
      const Abandoned given_up = abort_change(pending.folder.path());
      REQUIRE(given_up.aside);
      CHECK(given_up.files.size() == (readable ? 1 : 0));
      CHECK(pending.weights() == "other");
      CHECK(read_file(*given_up.aside / "files/weights", 100) == "new");  // nothing is lost
      CHECK(fs::exists(*given_up.aside / "journal"));
      CHECK(pending_change(pending.folder.path()) == Pending::nothing);
      require_settled(pending.folder.path());
    }
  }
}

TEST_CASE("who waits for a lock whose folder goes with its holder begins again") {
  const TempFolder folder = test::scratch();
  std::mutex mutex;
  std::string refused;
  constexpr int kChanging = 4;
  std::vector<std::thread> threads;
  threads.reserve(kChanging + 1);
  for (int i = 0; i < kChanging; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 20; ++n) {
        try {
          const Transaction transaction(folder.path());
        } catch (const Error& error) {
          const std::lock_guard lock(mutex);
          refused = error.what();
        }
      }
    });
  }
  threads.emplace_back([&] {
    for (int n = 0; n < 500; ++n) {
      try {
        require_settled(folder.path());
      } catch (const Error& error) {
        const std::lock_guard lock(mutex);
        refused = error.what();
      }
    }
  });
  for (std::thread& thread : threads) thread.join();
  CHECK(refused == "");
  CHECK_FALSE(fs::exists(folder.path() / ".organ"));
}
