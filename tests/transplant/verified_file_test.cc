// SPDX-License-Identifier: Apache-2.0
#include "transplant/internal/verified_file.h"

#include <algorithm>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "format/base/digest.h"
#include "format/base/file.h"
#include "tests/support/support.h"
#include "tests/support/tiny_organ.h"

using namespace organ;
using namespace organ::transplant;

namespace {

// One file of many small tensors, as a source that counts how many bytes are asked for.
struct ManyTensors {
  static constexpr std::size_t kTensors = 1200, kSize = 16'000, kStart = 5000;
  TempFolder scratch = test::scratch();
  format::OrganFolder organ =
      format::OrganFolder::open(test::write_tiny_organ(scratch.path() / "organ"));
  std::string bytes;
  format::FileEntry entry;

  ManyTensors() {
    std::mt19937 random(1);
    bytes.resize(kStart + kTensors * kSize);
    for (char& byte : bytes) byte = static_cast<char>(random());
    entry.path = "layer.00.safetensors";
    entry.data_start = kStart;
    for (std::size_t i = 0; i < kTensors; ++i) {
      entry.tensors.push_back({std::to_string(i), format::DType::F32, {}, i * kSize, kSize});
    }
    write();
    const UniqueFd fd = open_regular(path());
    entry.size = bytes.size();
    entry.chunks = hash_file(fd.get(), "made").chunks;
    REQUIRE(entry.chunks.size() == 5);
  }

  std::filesystem::path path() const { return organ.folder() / entry.path; }
  void write() const { write_file(path(), bytes); }

  // The numbers of the tensors in an order of their own.
  static std::vector<std::size_t> shuffled() {
    std::vector<std::size_t> order(kTensors);
    for (std::size_t i = 0; i < kTensors; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), std::mt19937(2));
    return order;
  }

  std::string read(VerifiedFile& file, std::size_t tensor) const {
    std::string out(kSize, '\0');
    for (std::size_t at = 0; at < kSize; at += kSize / 2) {
      file.read(kStart + tensor * kSize + at,
                std::as_writable_bytes(std::span(out)).subspan(at, kSize / 2));
    }
    return out;
  }
};

// Bytes that this process has asked files for.
std::uint64_t bytes_asked_for() {
  const std::string text = read_kernel_file("/proc/self/io", 1 << 16);
  return std::stoull(text.substr(text.find("rchar: ") + 7));
}

}  // namespace

TEST_CASE("a byte that changed after the organ was opened is never given away") {
  const TempFolder scratch = test::scratch();
  const auto organ = format::OrganFolder::open(test::write_tiny_organ(scratch.path() / "organ"));
  const format::FileEntry* entry = organ.manifest().find_file("layer.00.safetensors");
  REQUIRE(entry != nullptr);
  const auto path = organ.folder() / entry->path;
  const std::string sound = read_file(path, entry->size);
  std::vector<std::byte> first(1);
  VerifiedFile(organ, *entry).read(0, first);
  for (const std::size_t at : {std::size_t{0}, sound.size() / 2, sound.size() - 1}) {
    CAPTURE(at);
    std::string changed = sound;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    write_file(path, changed, AtomicFile::Mode::replace);
    const std::string refusal = test::error_of([&] { VerifiedFile(organ, *entry).read(0, first); });
    CHECK(refusal.starts_with("corrupt: "));
    CHECK(refusal.find("layer.00.safetensors") != std::string::npos);
  }
}

TEST_CASE("tensors are read in any order without reading the file more than twice") {
  const ManyTensors many;
  std::vector<std::size_t> forwards(ManyTensors::kTensors);
  for (std::size_t i = 0; i < forwards.size(); ++i) forwards[i] = i;
  const std::vector<std::size_t> backwards(forwards.rbegin(), forwards.rend());
  for (const auto& [order, most] :
       {std::pair(forwards, 1.01), {backwards, 2.0}, {ManyTensors::shuffled(), 2.01}}) {
    VerifiedFile file(many.organ, many.entry);
    const std::uint64_t before = bytes_asked_for();
    for (const std::size_t tensor : order) {
      REQUIRE(
          many.read(file, tensor) ==
          many.bytes.substr(ManyTensors::kStart + tensor * ManyTensors::kSize, ManyTensors::kSize));
    }
    CHECK(double(bytes_asked_for() - before) <= most * double(many.bytes.size()));
  }
}

TEST_CASE("a byte that changed after its piece was seen once is never given away") {
  for (const bool at_end : {false, true}) {
    ManyTensors many;
    const auto order = ManyTensors::shuffled();
    VerifiedFile file(many.organ, many.entry);
    for (std::size_t i = 0; i < 100; ++i) many.read(file, order[i]);
    const std::size_t later = order[500];
    const std::size_t first = ManyTensors::kStart + later * ManyTensors::kSize;
    char& byte = many.bytes[first + (at_end ? ManyTensors::kSize - 1 : 0)];
    byte = static_cast<char>(byte ^ 1);
    many.write();
    const std::string refusal = test::error_of([&] {
      many.read(file, order[400]);  // whatever was held is given up
      many.read(file, later);
    });
    CHECK(refusal.starts_with("corrupt: "));
  }
}
