// SPDX-License-Identifier: Apache-2.0
#include "format/base/progress.h"

#include <doctest/doctest.h>

#include <chrono>
#include <thread>

#include "format/base/digest.h"
#include "format/base/file.h"
#include "tests/support/support.h"
#include "tests/support/watcher.h"

using namespace organ;
using test::error_of;
using test::Watcher;

namespace {

constexpr std::uint64_t kSize = 3 * kChunkSize + 12'345;

std::filesystem::path write_letters(const TempFolder& folder) {
  std::string text(kSize, 'a');
  for (std::size_t i = 0; i < text.size(); i += 997) text[i] = static_cast<char>('a' + i % 26);
  write_file(folder.path() / "letters", text);
  return folder.path() / "letters";
}

}  // namespace

TEST_CASE("work: hashing and copying tell every byte once, whatever the number of threads") {
  const TempFolder folder = test::scratch();
  const UniqueFd fd = open_regular(write_letters(folder));
  const FileDigest expected = hash_file(fd.get(), "letters");
  std::vector<HashRange> ranges;
  for (std::uint64_t at = 0; at < kSize; at += kChunkSize) {
    ranges.push_back({fd.get(), at, std::min(kChunkSize, kSize - at)});
  }
  CHECK(total_size(ranges) == kSize);
  for (const unsigned threads : {0u, 1u, 2u, 7u}) {
    CAPTURE(threads);
    Watcher watcher;
    const Work work(&watcher, threads);
    const FileDigest found = hash_file(fd.get(), "letters", work.phase("file", kSize));
    CHECK(found.digest == expected.digest);
    CHECK(found.chunks == expected.chunks);
    CHECK(hash_file_flat(fd.get(), "letters", work.phase("flat", kSize)) == expected.digest);
    CHECK(hash_ranges(ranges, "letters", work.phase("ranges", kSize)) == expected.chunks);
    AtomicFile copy(folder.path() / "copy");
    CHECK(copy_contents(fd.get(), copy.fd(), "letters", work.phase("copy", kSize)) == kSize);
    CHECK(watcher.names() == std::vector<std::string>{"file", "flat", "ranges", "copy"});
    test::check_phases(watcher);
    CHECK(watcher.steps() > 10);
  }
}

TEST_CASE("work: one that is not wanted ends at its next step, on every thread") {
  const TempFolder folder = test::scratch();
  const UniqueFd fd = open_regular(write_letters(folder));
  for (const unsigned threads : {1u, 4u}) {
    Watcher watcher(3);
    CHECK(error_of([&] { hash_file(fd.get(), "letters", Work(&watcher, threads)); }) ==
          "cancelled: cancelled");
    CHECK(watcher.steps() >= 3);
    CHECK(watcher.steps() < 3 + threads + 1);
  }
}

TEST_CASE("work: a phase inside a phase is a part of it, uncounted work tells nothing") {
  Watcher watcher;
  const Work work(&watcher);
  const Work outer = work.phase("outer", 3);
  outer.phase("inner", 9).advance(1);
  outer.uncounted().advance(7);
  work.uncounted().phase("silent", 5).advance(5);
  outer.advance(2);
  work.phase("next", 1).advance(1);
  CHECK(watcher.names() == std::vector<std::string>{"outer", "next"});
  test::check_phases(watcher);
}

TEST_CASE("work: behind its commit point nothing ends it") {
  Watcher watcher(0);
  const Work work(&watcher, 5);
  CHECK(work.threads() == 5);
  CHECK(Work().threads() >= 1);
  CHECK_NOTHROW(work.committed().advance(1));
  CHECK_NOTHROW(work.committed().phase("proving", 1).require_wanted());
  CHECK(error_of([&] { work.require_wanted(); }) == "cancelled: cancelled");
  CHECK(error_of([&] { (void)work.phase("more", 1); }) == "cancelled: cancelled");
  CHECK(watcher.names() == std::vector<std::string>{"proving"});
}

TEST_CASE("work: nobody waits for a lock longer than he is wanted") {
  const TempFolder folder = test::scratch();
  const std::filesystem::path path = folder.path() / "lock";
  const FileLock held(path, FileLock::Kind::exclusive);
  Watcher watcher(0);
  const auto start = std::chrono::steady_clock::now();
  CHECK(error_of([&] { FileLock(path, FileLock::Kind::exclusive, 600, Work(&watcher)); }) ==
        "cancelled: cancelled");
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(60));
}
