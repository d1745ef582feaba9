// SPDX-License-Identifier: Apache-2.0
#include "format/organ/passing_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>
#include <array>

#include "format/base/file.h"
#include "format/organ/finite_check.h"
#include "tests/support/damage.h"
#include "tests/support/support.h"
#include "tests/support/tiny_organ.h"

namespace organ::format {
namespace {

struct World {
  TempFolder folder = test::scratch();
  OrganFolder organ = OrganFolder::open(test::write_tiny_organ(folder.path() / "organ", 1));
  FileEntry file = *std::ranges::find(organ.manifest().files, FileRole::layer, &FileEntry::role);

  // What a look at the file finds when its bytes pass in three parts that end anywhere.
  std::optional<PassedFile> passed(const FileEntry& entry) const {
    const UniqueFd fd = organ.open(file);
    PassingFile passing(entry, fd.get());
    for (const std::uint64_t end : {entry.size / 3, entry.size / 3, entry.size - 1, entry.size}) {
      passing.read_to(end);
    }
    passing.read_to(entry.size / 2);  // has passed before
    return passing.finish();
  }
};

Digest other(const Digest& digest) {
  auto bytes = digest.bytes();
  bytes[7] ^= 1;
  return Digest(bytes);
}

// An organ one of whose files was looked at before; it is never opened.
class Fetched final : public OrganSource {
 public:
  Fetched(const OrganSource& organ, PassedFile passed)
      : organ_(organ), passed_(std::move(passed)) {}
  const Manifest& manifest() const override { return organ_.manifest(); }
  const std::string& manifest_text() const override { return organ_.manifest_text(); }
  UniqueFd open(const FileEntry& file) const override {
    REQUIRE(file.role != FileRole::layer);
    return organ_.open(file);
  }
  const PassedFile* passed(const FileEntry& file) const override {
    return file.role == FileRole::layer ? &passed_ : nullptr;
  }
  std::vector<std::string> signature_bundles() const override { return {}; }
  std::vector<std::string> extra_files() const override { return {}; }
  std::string describe() const override { return "fetched"; }

 private:
  const OrganSource& organ_;
  PassedFile passed_;
};

}  // namespace

TEST_CASE("passing file: a sound one passes, whatever the parts it comes in") {
  const World world;
  const auto passed = world.passed(world.file);
  REQUIRE(passed);
  CHECK(passed->not_finite.empty());
}

TEST_CASE("passing file: what the manifest says otherwise than the file is to be looked at again") {
  const World world;
  FileEntry file = world.file;
  SUBCASE("the digest of the file") { file.digest = other(file.digest); }
  SUBCASE("the digest of its first tensor") {
    file.tensor_digests.front() = other(file.tensor_digests.front());
  }
  SUBCASE("of its last one") { file.tensor_digests.back() = other(file.tensor_digests.back()); }
  SUBCASE("the shape of a tensor") {
    auto& shape = file.tensors.back().shape;
    shape.insert(shape.begin(), 1);
  }
  SUBCASE("the name of a tensor") { file.tensors.back().name += "x"; }
  CHECK_FALSE(world.passed(file));
}

TEST_CASE("passing file: numbers that are none are found as verify_contents finds them") {
  const World world;
  FileEntry file = world.file;
  const auto path = world.organ.folder() / file.path;
  const TensorInfo& tensor = file.tensors.back();
  constexpr std::array kNan{std::byte{0xc0}, std::byte{0x7f}};
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  write_at(fd.get(), file.data_start + tensor.offset + 2, kNan, "the test");
  const HashRange range{fd.get(), file.data_start + tensor.offset, tensor.size};
  file.tensor_digests.back() = hash_ranges({&range, 1}, "the test").front();
  file.digest = hash_file_flat(fd.get(), "the test");

  const auto passed = world.passed(file);
  REQUIRE(passed);
  FiniteCheck check;
  (void)verify_contents(world.organ, {.flat_digests = true}, {}, check);
  REQUIRE(check.found.size() == 1);
  REQUIRE(passed->not_finite.size() == 1);
  CHECK(passed->not_finite.front().subject == check.found.front().subject);
  CHECK(passed->not_finite.front().message == check.found.front().message);

  SUBCASE("and told by whoever takes the file for read") {
    FiniteCheck told;
    const Fetched fetched(world.organ, *passed);
    CHECK(verify_contents(fetched, {.flat_digests = true}, {}, told).empty());
    REQUIRE(told.found.size() == 1);
    CHECK(told.found.front().message == check.found.front().message);
  }
}

TEST_CASE("passing file: one that ends early is refused") {
  const World world;
  const auto path = world.organ.folder() / world.file.path;
  std::filesystem::resize_file(path, world.file.size - 1);
  const UniqueFd fd = world.organ.open(world.file);
  PassingFile passing(world.file, fd.get());
  CHECK_THROWS_AS(passing.read_to(world.file.size), Error);
}

}  // namespace organ::format
