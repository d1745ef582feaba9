// SPDX-License-Identifier: Apache-2.0
#include "format/base/new_folder.h"

#include <doctest/doctest.h>

#include <sys/stat.h>

#include "tests/support/support.h"

using namespace organ;
namespace fs = std::filesystem;
using test::error_of;

TEST_CASE("new folder: whole under its name after commit, with the permissions asked for") {
  const TempFolder folder = test::scratch();
  {
    NewFolder fresh((folder.path() / "made").string() + "/");
    CHECK(fresh.path().parent_path() == folder.path());
    CHECK(fresh.path().filename().string().starts_with(".made.unfinished."));
    write_file(fresh.path() / "a", "text");
    CHECK_FALSE(fs::exists(folder.path() / "made"));
    fresh.commit(0750);
  }
  CHECK(list_folder(folder.path()) == std::vector<std::string>{"made"});
  CHECK(read_file(folder.path() / "made" / "a", 10) == "text");
  CHECK((fs::status(folder.path() / "made").permissions() & fs::perms::all) == fs::perms(0750));
}

TEST_CASE("new folder: nothing is left without commit") {
  const TempFolder folder = test::scratch();
  {
    const NewFolder fresh(folder.path() / "made");
    write_file(fresh.path() / "a", "text");
  }
  CHECK(list_folder(folder.path()).empty());
}

TEST_CASE("new folder: a taken name is refused, early and late") {
  const TempFolder folder = test::scratch();
  const fs::path path = folder.path() / "made";
  NewFolder late(path);
  fs::create_directory(path);
  CHECK(error_of([&] { NewFolder early(path); }).starts_with("already_exists"));
  CHECK(error_of([&] { late.commit(); }).starts_with("already_exists"));
}

TEST_CASE("new folder: an empty folder may be taken over, a filled one never") {
  const TempFolder folder = test::scratch();
  const fs::path path = folder.path() / "made";
  fs::create_directory(path);
  {
    NewFolder fresh(path, NewFolder::Over::empty_folder);
    write_file(fresh.path() / "a", "text");
    write_file(path / "b", "somebody else's");
    CHECK(error_of([&] { fresh.commit(); }).starts_with("already_exists"));
    fs::remove(path / "b");
    fresh.commit();
  }
  CHECK(list_folder(path) == std::vector<std::string>{"a"});
  CHECK(error_of([&] {
          NewFolder(path, NewFolder::Over::empty_folder);
        }).starts_with("already_exists"));
}
