// SPDX-License-Identifier: Apache-2.0
#include "format/base/file_system.h"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "format/base/file.h"
#include "tests/support/support.h"

using namespace organ;
namespace fs = std::filesystem;
using test::error_of;

TEST_CASE("a given path loses the slashes at its end and nothing else") {
  CHECK(given_path("a") == "a");
  CHECK(given_path("a/") == "a");
  CHECK(given_path("a/b//") == "a/b");
  CHECK(given_path("/") == "/");
  CHECK(given_path("//") == "/");
  CHECK(given_path(".") == ".");
  CHECK(given_path("../") == "..");
  CHECK(given_path("caf\xe9 \n/").native() == "caf\xe9 \n");
  CHECK(error_of([] { given_path(""); }).starts_with("invalid_argument: "));
}

TEST_CASE("a place is absolute, over no link, and may be a link or nothing itself") {
  const TempFolder folder = test::scratch();
  const fs::path root = fs::canonical(folder.path());
  fs::create_directories(root / "real/inner");
  fs::create_directory_symlink(root / "real/inner", root / "link");
  CHECK(place_of(root / "link/new") == root / "real/inner/new");
  CHECK(place_of(root / "link/new/") == root / "real/inner/new");
  CHECK(place_of(root / "link") == root / "link");
  CHECK(place_of(root / "link/..") == root / "real");  // where it leads, not what is written
  CHECK(place_of(root / "link/.") == root / "real/inner");
  CHECK(place_of("x") == fs::current_path() / "x");
  CHECK(error_of([&] { place_of(root / "no/x"); }).starts_with("not_found: "));
  CHECK(without_links(root / "link") == root / "real/inner");
  CHECK(without_links(root / "no") == root / "no");
}

TEST_CASE("new files have the permissions that the umask leaves, private ones stay private") {
  const TempFolder folder = test::scratch();
  const mode_t before = ::umask(027);
  CHECK(permitted(0666) == 0640);
  CHECK(permitted(0600) == 0600);
  write_file(folder.path() / "usual", "x");
  write_file(folder.path() / "key", "x", AtomicFile::Mode::create_new, 0600);
  ::umask(before);
  const auto mode = [&](const char* name) {
    return permissions_of(open_regular(folder.path() / name).get(), name);
  };
  CHECK(mode("usual") == 0640);
  CHECK(mode("key") == 0600);
}

TEST_CASE("a name is given to something new once") {
  const TempFolder folder = test::scratch();
  const auto at = [&](const char* name) { return folder.path() / name; };
  write_file(at("a"), "a");
  write_file(at("b"), "b");
  rename_to_new(at("a"), at("c"));
  CHECK(error_of([&] { rename_to_new(at("b"), at("c")); }).starts_with("already_exists: "));
  CHECK(read_file(at("c"), 9) == "a");
  fs::create_directory(at("d"));
  fs::create_directory(at("empty"));
  CHECK(error_of([&] { rename_to_new(at("d"), at("empty")); }).starts_with("already_exists: "));
}

TEST_CASE("what cannot fit is refused with both numbers") {
  const TempFolder folder = test::scratch();
  CHECK(error_of([&] { require_space(folder.path(), 1); }) == "no error");
  const std::string error = error_of([&] { require_space(folder.path(), UINT64_MAX); });
  CHECK(error.starts_with("io: "));
  CHECK(error.find("18446744073709551615 bytes are to be written") != std::string::npos);
  CHECK(error_of([&] { require_space(folder.path() / "no", UINT64_MAX); }) == "no error");
}
