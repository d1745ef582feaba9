// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>

#include <algorithm>
#include <numeric>
#include <random>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "format/base/file.h"
#include "format/tensor/safetensors.h"
#include "tests/support/support.h"

namespace organ::format {
namespace {

using test::error_of;

struct Content {
  TensorInfo info;
  std::vector<std::byte> bytes;
};

std::vector<TensorSource> sources(const std::vector<Content>& contents) {
  std::vector<TensorSource> result;
  result.reserve(contents.size());
  for (const Content& content : contents) {
    result.push_back(memory_source(content.info, content.bytes));
  }
  return result;
}

FileDigest write(const std::filesystem::path& path, std::vector<TensorSource> tensors,
                 const std::map<std::string, std::string>& metadata = {}) {
  AtomicFile file(path);
  FileDigest digest = write_safetensors(file.fd(), std::move(tensors), metadata, path.string());
  file.commit();
  return digest;
}

std::string text_of(const std::filesystem::path& path) {
  return read_file(path, std::uint64_t{1} << 30);
}

Content content(std::string name, DType dtype, Shape shape, std::mt19937_64& random) {
  TensorInfo info{std::move(name), dtype, std::move(shape), 0, 0};
  info.size = byte_size(dtype, info.shape, "test");
  std::vector<std::byte> bytes(info.size);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  return {std::move(info), std::move(bytes)};
}

// Every dtype, ranks 0 to 8, zero sizes; sub-byte types get an even innermost dimension.
std::vector<Content> random_contents(std::mt19937_64& random) {
  std::vector<Content> contents;
  for (unsigned i = 0; i <= static_cast<unsigned>(DType::U64); ++i) {
    const auto dtype = static_cast<DType>(i);
    Shape shape(random() % 9);
    for (auto& dimension : shape) dimension = random() % 4;
    if (bit_width(dtype) % 8 != 0) shape.assign({random() % 5 * 4});
    contents.push_back(content(fmt::format("t{}.{}", random() % 1000, i), dtype, shape, random));
  }
  return contents;
}

TEST_CASE("random files with every dtype and rank survive write, read and write byte for byte") {
  const auto scratch = test::scratch();
  std::mt19937_64 random(7);
  for (int round = 0; round < 40; ++round) {
    CAPTURE(round);
    auto contents = random_contents(random);
    const auto first = scratch.path() / "first.safetensors";
    const auto second = scratch.path() / "second.safetensors";
    const auto digest = write(first, sources(contents), {{"format", "pt"}, {"caf\xc3\xa9", "\n"}});
    const auto file = SafetensorsFile::open(first);
    REQUIRE(file.header().tensors.size() == contents.size());
    std::vector<TensorSource> copies;
    for (const Content& wanted : contents) {
      const TensorInfo& stored = file.tensor(wanted.info.name);
      CHECK(stored.shape == wanted.info.shape);
      CHECK(stored.dtype == wanted.info.dtype);
      CHECK(file.read(stored) == wanted.bytes);
      copies.push_back(file_source(wanted.info, file, stored));
    }
    std::shuffle(copies.begin(), copies.end(), random);
    write(second, std::move(copies), file.header().metadata);
    const std::string text = text_of(first);
    CHECK(text == text_of(second));
    CHECK(digest.size == text.size());
    CHECK(digest.digest == sha256(text));
  }
}

TEST_CASE("data starts at a multiple of 4096 and wide, aligned tensors come first") {
  const auto scratch = test::scratch();
  std::mt19937_64 random(1);
  const auto path = scratch.path() / "a.safetensors";
  write(
      path,
      sources({content("odd", DType::U8, {3}, random), content("b", DType::BF16, {64}, random),
               content("a", DType::BF16, {5}, random), content("wide", DType::F32, {16}, random)}));
  const auto file = SafetensorsFile::open(path);
  CHECK(file.header().data_start % 4096 == 0);
  std::vector<std::string> order;
  for (const auto& tensor : file.header().tensors) order.push_back(tensor.name);
  CHECK(order == std::vector<std::string>{"wide", "b", "a", "odd"});
  CHECK(text_of(path).substr(8, 9) == R"({"a":{"da)");
}

TEST_CASE("digests of a file of several chunks are those of its pieces") {
  const auto scratch = test::scratch();
  std::mt19937_64 random(2);
  const auto path = scratch.path() / "a.safetensors";
  std::vector<Content> contents;
  contents.push_back(content("x", DType::U8, {5'000'001}, random));
  contents.push_back(content("y", DType::F32, {1'000'000}, random));
  const auto digest = write(path, sources(contents));
  const std::string text = text_of(path);
  REQUIRE(digest.chunks.size() == (text.size() + kChunkSize - 1) / kChunkSize);
  for (std::size_t i = 0; i < digest.chunks.size(); ++i) {
    CHECK(digest.chunks[i] == sha256(std::string_view(text).substr(i * kChunkSize, kChunkSize)));
  }
  CHECK(digest.digest == sha256(text));
}

TEST_CASE("a file without tensors is an empty object and padding") {
  const auto scratch = test::scratch();
  const auto path = scratch.path() / "none.safetensors";
  CHECK(write(path, {}).size == 4096);
  CHECK(SafetensorsFile::open(path).header().tensors.empty());
}

TEST_CASE("tensors that could not be read back are not written") {
  const auto scratch = test::scratch();
  std::mt19937_64 random(3);
  const auto refused = [&](std::vector<Content> contents) {
    return error_of([&] { write(scratch.path() / "x.safetensors", sources(contents)); });
  };
  const Content a = content("a", DType::U8, {4}, random);
  CHECK(refused({a, a}) == "invalid_argument: tensor 'a': is given twice");
  const auto most = SafetensorsLimits{}.metadata_bytes;
  std::vector<TensorInfo> infos = {a.info};
  CHECK(error_of([&] {
          canonical_header(infos, {{"key", std::string(most - 2, 'v')}});
        }) == "invalid_argument: metadata of 1048577 bytes are beyond the limit of 1048576");
  const std::string longest = canonical_header(infos, {{"key", std::string(most - 3, 'v')}});
  write_file(scratch.path() / "longest", longest + std::string(4, '\0'));
  CHECK(SafetensorsFile::open(scratch.path() / "longest").header().metadata.size() == 1);
  Content reserved = a;
  reserved.info.name = "__metadata__";
  CHECK(refused({reserved}).find("is reserved") != std::string::npos);
  Content path = a;
  path.info.name = "../a";
  CHECK(refused({path}).find("looks like a path") != std::string::npos);
  Content larger = a;
  larger.info.shape = {5};
  CHECK(refused({larger}) ==
        "invalid_argument: tensor 'a': shape [5] of U8 needs 5 bytes but 4 are given");
  Content deep = a;
  deep.info.shape = {1, 1, 1, 1, 1, 1, 1, 1, 4};
  CHECK(refused({deep}).find("has 9 dimensions") != std::string::npos);
  CHECK(!std::filesystem::exists(scratch.path() / "x.safetensors"));
}

TEST_CASE("values that are not numbers keep their bits") {
  const auto scratch = test::scratch();
  const std::uint32_t odd[] = {0x7fc00001, 0xff800000, 0x00000001, 0x80000000, 0x7f800001};
  const auto path = scratch.path() / "nan.safetensors";
  const auto bytes = std::as_bytes(std::span(odd));
  write(path, {memory_source({"n", DType::F32, {5}, 0, 0}, bytes)});
  const auto file = SafetensorsFile::open(path);
  const auto back = file.read(file.tensor("n"));
  CHECK(std::equal(back.begin(), back.end(), bytes.begin(), bytes.end()));
}

}  // namespace
}  // namespace organ::format
