// SPDX-License-Identifier: Apache-2.0
#include "format/base/new_folder.h"

#include <doctest/doctest.h>

#include <sys/stat.h>

#include "tests/support/support.h"

using namespace organ;
namespace fs = std::filesystem;
using test::error_of;

namespace {

unsigned mode_of(const fs::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

ino_t inode_of(const fs::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_ino;
}

const std::vector<std::string> kEntries = {"a", "b", "mark"};

void fill(const NewFolder& fresh) {
  fs::create_directory(fresh.path() / "a");
  write_file(fresh.path() / "a" / "inside", "text");
  for (const char* name : {"b", "mark"}) write_file(fresh.path() / name, "text");
}

}  // namespace

TEST_CASE("new folder: whole under its name after commit, no wider than asked for") {
  const TempFolder folder = test::scratch();
  {
    NewFolder fresh((folder.path() / "made").string() + "/");
    CHECK(fresh.path().parent_path() == folder.path());
    CHECK(fresh.path().filename().string().starts_with(".made.unfinished."));
    write_file(fresh.path() / "a", "text");
    CHECK_FALSE(fs::exists(folder.path() / "made"));
    fresh.no_wider_than(0750);
    CHECK(mode_of(fresh.path()) == 0750);
    fresh.commit();
  }
  CHECK(list_folder(folder.path()) == std::vector<std::string>{"made"});
  CHECK(read_file(folder.path() / "made" / "a", 10) == "text");
  CHECK(mode_of(folder.path() / "made") == 0750);
}

TEST_CASE("new folder: names as long as the file system has them") {
  const TempFolder scratch = test::scratch();
  for (std::size_t length = 230; length <= 255; ++length) {
    const fs::path target = scratch.path() / std::string(length, 'n');
    NewFolder fresh(target);
    write_file(fresh.path() / "file", "x");
    fresh.commit();
    CHECK(list_folder(target) == std::vector<std::string>{"file"});
  }
  // Told before anything is prepared, not when it gets its name.
  CHECK(error_of([&] { NewFolder(scratch.path() / std::string(256, 'n')); }).starts_with("io: "));
  CHECK(error_of([&] { AtomicFile(scratch.path() / std::string(256, 'n')); }).starts_with("io: "));
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

TEST_CASE("new folder: set-group-id stays where permissions go") {
  const TempFolder folder = test::scratch();
  fs::permissions(folder.path(), fs::perms(02777));
  NewFolder fresh(folder.path() / "made");
  fresh.no_wider_than(0700);
  fresh.commit();
  CHECK(mode_of(folder.path() / "made") == 02700);
}

TEST_CASE("new folder: an empty folder is filled and stays the one it is") {
  const TempFolder folder = test::scratch();
  const fs::path path = folder.path() / "made";
  fs::create_directory(path);
  fs::create_directory(path / "lost+found");
  fs::permissions(path, fs::perms(02770));
  const ino_t inode = inode_of(path);
  {
    NewFolder fresh(path, kEntries);
    CHECK(fresh.path().parent_path() == path);
    fill(fresh);
    CHECK_FALSE(fs::exists(path / "mark"));
    fresh.commit();
  }
  CHECK(list_folder(path) == std::vector<std::string>{"a", "b", "lost+found", "mark"});
  CHECK(read_file(path / "a" / "inside", 9) == "text");
  CHECK(inode_of(path) == inode);
  CHECK(mode_of(path) == 02770);
  CHECK(list_folder(folder.path()) == std::vector<std::string>{"made"});
  CHECK(error_of([&] { NewFolder(path, kEntries); }).starts_with("already_exists"));
}

TEST_CASE("new folder: where nothing is yet it is a new folder all the same") {
  const TempFolder folder = test::scratch();
  NewFolder fresh(folder.path() / "made", kEntries);
  fill(fresh);
  fresh.commit();
  CHECK(list_folder(folder.path() / "made") == kEntries);
}

TEST_CASE("new folder: without commit, or when somebody was first, an empty one stays as it was") {
  const TempFolder folder = test::scratch();
  {
    const NewFolder fresh(folder.path(), kEntries);
    fill(fresh);
  }
  CHECK(list_folder(folder.path()).empty());
  for (const char* name : {"a", "b", "mark", "other"}) {
    CAPTURE(name);
    {
      NewFolder fresh(folder.path(), kEntries);
      fill(fresh);
      write_file(folder.path() / name, "somebody else's");
      CHECK(error_of([&] { fresh.commit(); }).starts_with("already_exists"));
    }
    CHECK(list_folder(folder.path()) == std::vector<std::string>{name});
    CHECK(read_file(folder.path() / name, 99) == "somebody else's");
    fs::remove(folder.path() / name);
  }
}

TEST_CASE("new folder: what a killed process left is removed, what is not surely that is refused") {
  const TempFolder folder = test::scratch();
  const fs::path left = folder.path() / ".unfinished.abcdefghij";
  const auto again = [&] {
    NewFolder fresh(folder.path(), kEntries);
    fill(fresh);
    fresh.commit();
  };
  for (const bool moved : {false, true}) {
    CAPTURE(moved);
    fs::create_directory(left);
    write_file(left / "mark", "old");
    if (moved) write_file(folder.path() / "a", "old");
    CHECK(error_of(again) == "no error");
    CHECK(list_folder(folder.path()) == kEntries);
    CHECK(read_file(folder.path() / "mark", 9) == "text");
    for (const std::string& name : kEntries) fs::remove_all(folder.path() / name);
  }
  fs::create_directory(left);
  write_file(folder.path() / "a", "of somebody");  // the last entry is in neither place
  CHECK(error_of(again).starts_with("already_exists"));
  write_file(left / "mark", "old");
  write_file(folder.path() / "other", "of somebody");
  CHECK(error_of(again).starts_with("already_exists"));
  CHECK(list_folder(folder.path()).size() == 3);
}

TEST_CASE("new folder: nobody removes what another one is filling") {
  const TempFolder folder = test::scratch();
  NewFolder first(folder.path(), kEntries);
  CHECK(error_of([&] { NewFolder(folder.path(), kEntries); }).starts_with("conflict"));
  fill(first);
  first.commit();
  CHECK(list_folder(folder.path()) == kEntries);
}
