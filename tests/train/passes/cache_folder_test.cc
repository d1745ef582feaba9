// SPDX-License-Identifier: Apache-2.0
#include "train/passes/cache_folder.h"

#include <chrono>
#include <fstream>
#include <thread>

#include <doctest/doctest.h>

#include "format/base/file.h"
#include "tests/support/support.h"

namespace organ::train {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBytes = 1000;
constexpr std::uint64_t kEntry = kBytes + Digest::kSize;

std::vector<std::byte> content(int n) { return std::vector<std::byte>(kBytes, std::byte(n)); }

void write(CacheFolder& cache, int n) { cache.write(sha256(std::to_string(n)), content(n)); }

bool holds(CacheFolder& cache, int n) {
  std::vector<std::byte> out(kBytes);
  return cache.read(sha256(std::to_string(n)), out) && out == content(n);
}

std::uint64_t bytes_in(const fs::path& folder) {
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename() != ".lock") bytes += entry.file_size();
  }
  return bytes;
}

void overwrite(const fs::path& path, std::streamoff at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(at);
  const char old = static_cast<char>(file.get());
  file.seekp(at);
  file.put(static_cast<char>(old ^ 1));
}

}  // namespace

TEST_CASE("what one run keeps the next one reads") {
  const auto folder = test::scratch();
  {
    CacheFolder cache(folder.path() / "new", 1 << 20);
    CHECK_FALSE(holds(cache, 1));
    write(cache, 1);
    CHECK(holds(cache, 1));
  }
  CacheFolder cache(folder.path() / "new", 1 << 20);
  CHECK(holds(cache, 1));
  CHECK_FALSE(holds(cache, 2));
  CHECK(cache.damaged() == 0);
}

TEST_CASE("an entry that was changed, cut, lengthened or renamed is removed, never used") {
  const auto folder = test::scratch();
  CacheFolder cache(folder.path(), 1 << 20);
  const fs::path path = folder.path() / sha256("1").hex();
  const std::vector<std::function<void()>> damages = {
      [&] { overwrite(path, 0); },
      [&] { overwrite(path, kBytes + 5); },
      [&] { fs::resize_file(path, kEntry - 1); },
      [&] { fs::resize_file(path, kEntry + 1); },
      [&] { fs::resize_file(path, 0); },
      [&] { fs::rename(folder.path() / sha256("2").hex(), path); },
  };
  for (std::size_t i = 0; i < damages.size(); ++i) {
    CAPTURE(i);
    write(cache, 1);
    write(cache, 2);
    damages[i]();
    CHECK_FALSE(holds(cache, 1));
    CHECK(cache.damaged() == i + 1);
    CHECK_FALSE(fs::exists(path));
  }
}

TEST_CASE("the folder stays within its bound, and what was not used for longest goes first") {
  const auto folder = test::scratch();
  {
    CacheFolder cache(folder.path(), 3 * kEntry);
    for (int n = 1; n <= 3; ++n) {
      write(cache, n);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  write_file(folder.path() / "notes.txt", "not an entry");
  CacheFolder cache(folder.path(), 3 * kEntry);
  CHECK(holds(cache, 1));
  write(cache, 4);
  CHECK(bytes_in(folder.path()) <= 3 * kEntry + 12);
  CHECK(holds(cache, 1));
  CHECK_FALSE(holds(cache, 2));
  CHECK(holds(cache, 3));
  // All three are this run's now: the next one is not kept.
  write(cache, 5);
  CHECK_FALSE(holds(cache, 5));
  CHECK(holds(cache, 4));
  CHECK(fs::exists(folder.path() / "notes.txt"));
  CacheFolder none(folder.path() / "none", 0);
  write(none, 1);
  CHECK_FALSE(holds(none, 1));
}

TEST_CASE("two runs share one folder") {
  const auto folder = test::scratch();
  constexpr int kEntries = 200;
  const auto fill = [&] {
    CacheFolder cache(folder.path(), 1 << 20);
    for (int n = 0; n < kEntries; ++n) {
      if (!holds(cache, n)) write(cache, n);
    }
    return cache.damaged();
  };
  std::uint64_t damaged[2] = {1, 1};
  std::thread other([&] { damaged[0] = fill(); });
  damaged[1] = fill();
  other.join();
  CHECK(damaged[0] + damaged[1] == 0);
  CHECK(bytes_in(folder.path()) == kEntries * kEntry);
  // A temporary file that a dead writer left is no entry and goes in the end.
  const fs::path left = folder.path() / ("." + sha256("0").hex() + ".abcdef.tmp");
  write_file(left, "half");
  fs::last_write_time(left, fs::file_time_type::clock::now() - std::chrono::hours(2));
  CacheFolder cache(folder.path(), 1 << 20);
  write(cache, 0);
  CHECK_FALSE(fs::exists(left));
}

// Another user's files, a full disk: here what even root cannot read, replace or remove.
TEST_CASE("no trouble with what lies in the folder ends a run") {
  const auto folder = test::scratch();
  const fs::path entry = folder.path() / sha256("1").hex();
  fs::create_directories(entry / "not empty");
  fs::create_directories(folder.path() / ".lock");
  fs::create_symlink("nowhere", folder.path() / sha256("2").hex());
  std::vector<std::string> warnings;
  const auto warn = [&](std::string_view line) { warnings.emplace_back(line); };
  CacheFolder cache(folder.path(), 3 * kEntry, 0666, warn);
  CHECK_FALSE(holds(cache, 1));
  CHECK_FALSE(holds(cache, 2));
  write(cache, 1);
  CHECK_FALSE(holds(cache, 1));
  for (int n = 3; n < 9; ++n) write(cache, n);
  CHECK(holds(cache, 3));
  CHECK(fs::is_directory(entry));
  REQUIRE(warnings.size() == 1);
  CHECK(warnings.front().find("--cache: what cannot be read there is computed") == 0);
}

}  // namespace organ::train
