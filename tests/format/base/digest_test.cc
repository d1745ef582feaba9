// SPDX-License-Identifier: Apache-2.0
#include "format/base/digest.h"

#include <doctest/doctest.h>

#include <random>

#include "format/base/file.h"
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
