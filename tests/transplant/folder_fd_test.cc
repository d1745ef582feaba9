// SPDX-License-Identifier: Apache-2.0
#include "transplant/internal/folder_fd.h"

#include <sys/stat.h>

#include <filesystem>
#include <string>

#include <doctest/doctest.h>

#include "format/base/file.h"
#include "tests/support/support.h"

using namespace organ;
using namespace organ::transplant;
namespace fs = std::filesystem;

TEST_CASE("a folder that is held open gives nothing that a link or a pipe stands for") {
  const TempFolder scratch = test::scratch();
  const fs::path& path = scratch.path();
  write_file(path / "file", "x");
  fs::create_directory(path / "folder");
  fs::create_symlink("file", path / "link to a file");
  fs::create_symlink("folder", path / "link to a folder");
  REQUIRE(::mkfifo((path / "pipe").c_str(), 0600) == 0);
  const FolderFd held(path);
  CHECK(held.open_file("file"));
  CHECK(test::error_of([&] { held.below("folder"); }) == "no error");
  for (const std::string name : {"link to a file", "link to a folder", "folder", "pipe"}) {
    CAPTURE(name);
    CHECK(test::error_of([&] { held.open_file(name); }) != "no error");
    CHECK_FALSE(held.make_file(name));
  }
  for (const std::string name : {"link to a file", "link to a folder", "file", "pipe"}) {
    CAPTURE(name);
    CHECK(test::error_of([&] { held.below(name); }) != "no error");
  }
}
