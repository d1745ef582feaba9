// SPDX-License-Identifier: Apache-2.0
#include "format/base/path_status.h"

#include <doctest/doctest.h>

#include <sys/stat.h>

#include "tests/support/support.h"

using namespace organ;
namespace fs = std::filesystem;
using test::error_of;

namespace {

struct Places {
  TempFolder folder = test::scratch();
  fs::path root = folder.path();
  Places() {
    write_file(root / "file", "text");
    fs::create_directory(root / "folder");
    fs::create_symlink("file", root / "link");
    fs::create_symlink("nothing", root / "dangling");
    fs::create_symlink("loop", root / "loop");
    REQUIRE(::mkfifo((root / "pipe").c_str(), 0600) == 0);
  }
};

}  // namespace

TEST_CASE("path status: what lies there, with links followed and not") {
  const Places places;
  const auto followed = [&](const char* name) { return path_status(places.root / name); };
  const auto itself = [&](const char* name) {
    return path_status(places.root / name, Symlinks::refuse);
  };
  CHECK(followed("file") == PathStatus::file);
  CHECK(followed("folder") == PathStatus::folder);
  CHECK(followed("link") == PathStatus::file);
  CHECK(itself("link") == PathStatus::symlink);
  CHECK(followed("dangling") == PathStatus::nothing);
  CHECK(itself("dangling") == PathStatus::symlink);
  CHECK(itself("loop") == PathStatus::symlink);
  CHECK(followed("pipe") == PathStatus::other);
  CHECK(is_taken(places.root / "dangling"));
  CHECK_FALSE(is_there(places.root / "dangling"));
}

TEST_CASE("path status: what can be nowhere is nothing") {
  const Places places;
  CHECK(path_status(places.root / "absent") == PathStatus::nothing);
  CHECK(path_status(places.root / "file" / "below") == PathStatus::nothing);
  CHECK(path_status(places.root / std::string(300, 'x')) == PathStatus::nothing);
  CHECK(path_status("") == PathStatus::nothing);
}

TEST_CASE("path status: every function throws Error where the system does not answer") {
  const Places places;
  const fs::path loop = places.root / "loop";
  CHECK(error_of([&] { path_status(loop); }).starts_with("io: "));
  CHECK(error_of([&] { (void)is_there(loop / "x"); }).starts_with("io: "));
  CHECK(error_of([&] { (void)is_taken(loop / "x"); }).starts_with("io: "));
  CHECK(error_of([&] { (void)is_folder(loop); }).starts_with("io: "));
  CHECK(error_of([&] { (void)is_file(loop); }).starts_with("io: "));
  CHECK(error_of([&] { create_folders(loop / "x"); }).starts_with("io: "));
  CHECK(error_of([&] { create_folders(places.root / "file"); }).starts_with("io: "));
  CHECK(error_of([&] { remove_path(loop / "x"); }).starts_with("io: "));
  CHECK(error_of([&] { rename_path(loop / "x", places.root / "y"); }).starts_with("io: "));
  CHECK(error_of([&] {
          rename_path(places.root / "absent", places.root / "y");
        }).starts_with("not_found: "));
  CHECK(error_of([&] { (void)real_path(loop); }).starts_with("io: "));
  CHECK(error_of([&] { (void)real_path(places.root / "absent"); }).starts_with("not_found: "));
}

TEST_CASE("path status: names are made, moved and removed") {
  const Places places;
  const fs::path deep = places.root / "a" / "b";
  create_folders(deep);
  create_folders(deep);
  CHECK(is_folder(deep));
  rename_path(places.root / "file", deep / "file");
  CHECK(is_file(deep / "file"));
  CHECK(error_of([&] { remove_path(deep); }).starts_with("io: "));
  remove_path(deep / "file");
  remove_path(deep / "file");
  remove_path(deep);
  CHECK_FALSE(is_taken(deep));
  CHECK(real_path(places.root / "folder" / "..") == fs::canonical(places.root));
  CHECK(absolute_path("x").is_absolute());
}
