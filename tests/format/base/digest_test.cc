// SPDX-License-Identifier: Apache-2.0
#include "format/base/digest.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

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
    const auto shown =
        hash_seen(ranges, "f", work,
                  [&](std::size_t range, std::uint64_t offset, std::span<const std::byte> part) {
                    const bool in_order = offset == seen[range].size();
                    const bool whole = offset % (16 << 10) == 0;
                    if (!in_order || !whole || part.empty()) return;
                    const auto text = reinterpret_cast<const char*>(part.data());
                    seen[range].append(text, part.size());
                  });
    CHECK(shown == digests);
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      const auto range = std::string_view(bytes).substr(ranges[i].offset, ranges[i].size);
      CHECK(digests[i] == sha256(range));
      CHECK(seen[i] == range);
    }
  }
}

TEST_CASE("SHA-256 in lanes: two messages of any two lengths, as OpenSSL's") {
  CHECK((!internal::can_hash_in_lanes() || has_sha_instructions() == true));
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
