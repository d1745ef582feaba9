// SPDX-License-Identifier: Apache-2.0
#include "format/base/try_thread.h"

#include <sched.h>

#include <array>
#include <vector>

#include <doctest/doctest.h>

namespace organ {
namespace {

std::vector<std::byte> some_bytes(std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 251);
  return bytes;
}

}  // namespace

TEST_CASE("usable processors: those of the affinity, bounded by a quota, never none") {
  cpu_set_t before;
  REQUIRE(::sched_getaffinity(0, sizeof before, &before) == 0);
  CHECK(usable_processors() >= 1);
  CHECK(usable_processors() <= static_cast<unsigned>(CPU_COUNT(&before)));
  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  REQUIRE(::sched_setaffinity(0, sizeof one, &one) == 0);
  CHECK(usable_processors() == 1);
  REQUIRE(::sched_setaffinity(0, sizeof before, &before) == 0);

  CHECK(processors_of_quota("150000 100000") == 2);
  CHECK(processors_of_quota("50000 100000") == 1);
  CHECK(processors_of_quota("400000 100000") == 4);
  for (const char* none :
       {"max 100000", "", "100000", "0 100000", "100000 0", "-1 100000", "1 2 3"}) {
    CHECK(processors_of_quota(none) == std::nullopt);
  }
}

TEST_CASE("hash beside: the digest of many pieces, with a thread and without") {
  const auto bytes = some_bytes(300'000);
  for (const unsigned threads : {1u, 2u}) {
    Sha256Hasher hasher;
    HashBeside beside(threads);
    std::vector<std::byte> buffer(1000);
    for (std::size_t at = 0; at < bytes.size(); at += buffer.size()) {
      std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), buffer.size(), buffer.begin());
      beside.update(hasher, buffer);
      beside.wait();  // the buffer is free again
    }
    CHECK(hasher.finish() == sha256(std::span<const std::byte>(bytes)));
  }
}

TEST_CASE("hash beside: several hashers take turns, and waiting for nothing is no wait") {
  const auto bytes = some_bytes(4096);
  HashBeside beside(2);
  beside.wait();
  std::array<Sha256Hasher, 3> hashers;
  for (Sha256Hasher& hasher : hashers) {
    beside.update(hasher, bytes);
    beside.wait();
    beside.wait();
  }
  for (Sha256Hasher& hasher : hashers) CHECK(hasher.finish() == sha256(std::span(bytes)));
}

TEST_CASE("hash beside: its end waits for what it was given") {
  const auto bytes = some_bytes(8 << 20);
  Sha256Hasher hasher;
  {
    HashBeside beside(2);
    beside.update(hasher, bytes);
  }
  CHECK(hasher.finish() == sha256(std::span(bytes)));
}

}  // namespace organ
