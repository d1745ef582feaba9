// SPDX-License-Identifier: Apache-2.0
#include "format/base/digest.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "format/base/file.h"
#include "format/base/internal/sha256_lanes.h"
#include "tests/support/support.h"

using namespace organ;

namespace {

constexpr std::string_view kEmpty =
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr std::string_view kAbc =  // FIPS 180-2, appendix B.1
    "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

}  // namespace

TEST_CASE("digest: the FIPS 180-2 vectors, in one piece and in pieces") {
  CHECK(sha256("").to_string() == kEmpty);
  CHECK(sha256("abc").to_string() == kAbc);
  Sha256Hasher hasher;
  hasher.update("a");
  hasher.update("bc");
  CHECK(hasher.finish().to_string() == kAbc);
  CHECK(hasher.finish().to_string() == kEmpty);  // starts afresh
}

TEST_CASE("digest: parses only sha256: and 64 lower-case hex digits") {
  CHECK(Digest::parse(kAbc) == sha256("abc"));
  const std::string hex = sha256("abc").hex();
  for (const std::string& bad :
       {std::string(), std::string("sha256:"), "sha256:" + hex + "0", "sha256:" + hex.substr(1),
        "sha512:" + hex, "sha256-" + hex, hex, "sha256:../../" + hex.substr(6), "SHA256:" + hex,
        "sha256:" + hex.substr(0, 63) + "A", "sha256: " + hex.substr(1),
        "sha256:" + hex.substr(0, 63) + std::string(1, '\0')}) {
    CHECK(test::error_of([&] {
            Digest::parse(bad, "blob");
          }).find("invalid_argument: blob: expected") == 0);
  }
}

TEST_CASE("hash_file: flat digest and one digest per 4 MiB piece") {
  const auto folder = test::scratch();
  std::mt19937_64 random(7);
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1}, kChunkSize - 1, kChunkSize,
                                   kChunkSize + 1, 3 * kChunkSize + 17}) {
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    const auto path = folder.path() / "file";
    write_file(path, bytes);
    const UniqueFd fd = open_regular(path);
    const FileDigest result = hash_file(fd.get(), "file");
    CHECK(result.size == size);
    CHECK(result.digest == sha256(bytes));
    CHECK(hash_file_flat(fd.get(), "file") == result.digest);
    REQUIRE(result.chunks.size() == (size + kChunkSize - 1) / kChunkSize);
    for (std::size_t i = 0; i < result.chunks.size(); ++i) {
      CHECK(result.chunks[i] == sha256(std::string_view(bytes).substr(i * kChunkSize, kChunkSize)));
    }
  }
}

TEST_CASE("hash_ranges: ranges of every length, side by side, as one after the other") {
  const auto folder = test::scratch();
  std::mt19937_64 random(11);
  std::string bytes(std::size_t{2} << 20, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  write_file(folder.path() / "f", bytes);
  const UniqueFd fd = open_regular(folder.path() / "f");
  std::vector<HashRange> ranges;
  for (std::uint64_t size = 0; size <= 200; ++size) ranges.push_back({fd.get(), size % 7, size});
  for (const std::uint64_t around : {16 << 10, 32 << 10, 128 << 10, 256 << 10}) {
    for (std::uint64_t size = around - 66; size <= around + 66; size += 3) {
      ranges.push_back({fd.get(), random() % 1000, size});
    }
  }
  for (int i = 0; i < 40; ++i) ranges.push_back({fd.get(), random() % 4096, random() % 900'000});
  std::shuffle(ranges.begin(), ranges.end(), random);
  for (const unsigned threads : {1U, 2U, 5U}) {
    CAPTURE(threads);
    const Work work(nullptr, threads);
    std::vector<std::string> seen(ranges.size());
    const auto digests = hash_ranges(ranges, "f", work);
    std::atomic<unsigned> wrong = 0;
    const auto show = [&](std::size_t range, std::uint64_t offset,
                          std::span<const std::byte> part) {
      const bool in_order = offset == seen[range].size();
      const bool whole = offset % (16 << 10) == 0;
      if (!in_order || !whole || part.empty()) ++wrong;
      seen[range].append(reinterpret_cast<const char*>(part.data()), part.size());
    };
    const auto shown = hash_seen(ranges, "f", work, show);
    CHECK(wrong == 0);
    CHECK(shown == digests);
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      const auto range = std::string_view(bytes).substr(ranges[i].offset, ranges[i].size);
      CHECK(digests[i] == sha256(range));
      CHECK(seen[i] == range);
    }
  }
}

TEST_CASE("hash_seen: a thread goes through two ranges at once, and no more threads than may") {
  const auto folder = test::scratch();
  write_file(folder.path() / "f", std::string(std::size_t{3} << 20, 'x'));
  const UniqueFd fd = open_regular(folder.path() / "f");
  const std::vector<HashRange> ranges(8, HashRange{fd.get(), 0, std::uint64_t{3} << 20});
  for (const unsigned threads : {1U, 2U}) {
    CAPTURE(threads);
    std::mutex mutex;
    std::map<std::thread::id, std::vector<std::size_t>> seen;
    hash_seen(ranges, "f", Work(nullptr, threads), [&](std::size_t range, auto, auto) {
      const std::scoped_lock lock(mutex);
      seen[std::this_thread::get_id()].push_back(range);
    });
    CHECK(seen.size() <= threads);
    // Of two threads the one that comes late may find a single range left.
    if (threads > 1 || !internal::can_hash_in_lanes()) continue;
    for (const auto& [thread, order] : seen) {
      std::size_t changes = 0;
      for (std::size_t i = 1; i < order.size(); ++i) changes += order[i] != order[i - 1] ? 1 : 0;
      CHECK(changes > order.size() / 2);  // one after the other: a change for each range
    }
  }
}

TEST_CASE("hash_ranges: who is told of the bytes may hash others meanwhile") {
  const auto folder = test::scratch();
  std::mt19937_64 random(3);
  std::string bytes(std::size_t{1} << 20, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  write_file(folder.path() / "f", bytes);
  write_file(folder.path() / "other", std::string(300'000, 'o'));
  const UniqueFd fd = open_regular(folder.path() / "f");
  const UniqueFd other = open_regular(folder.path() / "other");
  struct Hashing : Progress {
    int fd = -1;
    void begin(std::string_view, std::uint64_t, Unit) override {}
    void advance(std::uint64_t) override { hash_file_flat(fd, "other"); }
  } hashing;
  hashing.fd = other.get();
  const Work work(&hashing, 1);
  const HashRange ranges[] = {{fd.get(), 0, 700'000}, {fd.get(), 99, 900'000}};
  const Digest expected[] = {sha256(std::string_view(bytes).substr(0, 700'000)),
                             sha256(std::string_view(bytes).substr(99, 900'000))};
  const auto alone = hash_ranges(ranges, "f", work);
  const auto shown = hash_seen(ranges, "f", Work(nullptr, 1), [&](auto, auto, auto) {
    hash_ranges(std::vector{HashRange{other.get(), 0, 200'000}, HashRange{other.get(), 1, 200'000}},
                "other");
  });
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(alone[i] == expected[i]);
    CHECK(shown[i] == expected[i]);
  }
  CHECK(hash_file_flat(fd.get(), "f", work) == sha256(bytes));
}

TEST_CASE("SHA-256 in lanes: two messages of any two lengths, as OpenSSL's") {
#ifdef __x86_64__
  CHECK(internal::can_hash_in_lanes() == has_sha_instructions().value());
#endif
  if (!internal::can_hash_in_lanes()) return;  // everything is OpenSSL's then
  std::mt19937_64 random(5);
  std::string bytes(5000, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  const auto message = [&](std::size_t at, std::size_t size) {
    return std::as_bytes(std::span(bytes)).subspan(at, size);
  };
  const auto end_of = [](const internal::Sha256State& state, std::span<const std::byte> whole) {
    return internal::finish(state, whole.last(whole.size() % internal::kSha256Block), whole.size());
  };
  for (std::size_t size = 0; size <= 260; ++size) {
    const auto a = message(size % 5, size), b = message(7, random() % 2000);
    internal::Sha256State of_a, of_b;
    internal::absorb_two(of_a, a, of_b, b);
    CHECK(end_of(of_a, a) == sha256(a));
    CHECK(end_of(of_b, b) == sha256(b));
    internal::Sha256State swapped_a, swapped_b;
    internal::absorb_two(swapped_b, b, swapped_a, a);
    CHECK(swapped_a.words == of_a.words);
    CHECK(swapped_b.words == of_b.words);
  }
}

TEST_CASE("SHA-256 in lanes: a message whose length in bits needs more than 32") {
  if (!internal::can_hash_in_lanes()) return;
  const std::vector<std::byte> piece(std::size_t{1} << 20, std::byte{0x61});
  constexpr std::uint64_t kPieces = 513;
  internal::Sha256State a, b;
  Sha256Hasher openssl;
  for (std::uint64_t i = 0; i < kPieces; ++i) {
    internal::absorb_two(a, piece, b, piece);
    openssl.update(piece);
  }
  const Digest expected = openssl.finish();
  CHECK(internal::finish(a, {}, kPieces * piece.size()) == expected);
  CHECK(internal::finish(b, {}, kPieces * piece.size()) == expected);
}

TEST_CASE("hash_ranges: a range past the end of the file is an error, not a shorter hash") {
  const auto folder = test::scratch();
  write_file(folder.path() / "f", "0123456789");
  const UniqueFd fd = open_regular(folder.path() / "f");
  const HashRange good[] = {{fd.get(), 2, 3}, {fd.get(), 0, 10}};
  const auto digests = hash_ranges(good, "f");
  CHECK(digests[0] == sha256("234"));
  CHECK(digests[1] == sha256("0123456789"));
  const HashRange bad[] = {{fd.get(), 8, 3}};
  CHECK(test::error_of([&] {
          hash_ranges(bad, "f");
        }).find("corrupt: 'f': expected 3 bytes at offset 8") == 0);
}
