// SPDX-License-Identifier: Apache-2.0
// What needs no torch; torch_peer.py compares with it.
#include "format/pickle/torch_file.h"

#include <fcntl.h>

#include <numeric>

#include <doctest/doctest.h>

#include "format/base/file.h"
#include "format/pickle/internal/crc32.h"
#include "format/pickle/internal/strided_tensor.h"
#include "format/pickle/torch_writer.h"
#include "tests/support/support.h"
#include "tests/support/watcher.h"

namespace organ::format {
namespace {

using test::error_of;

std::vector<std::byte> counted(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 37 + i / 256);
  return bytes;
}

void write(const std::filesystem::path& path, const std::vector<TensorSource>& tensors,
           const Work& work = {}) {
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  write_torch_file(fd.get(), tensors, path.string(), work);
}

std::vector<std::byte> read_all(const TorchFile& file, const TorchTensor& tensor) {
  std::vector<std::byte> bytes(tensor.size);
  file.source(tensor, tensor.name).read(0, bytes);
  return bytes;
}

TEST_CASE("the checksum is that of every ZIP tool, however the bytes are cut") {
  const auto bytes = std::as_bytes(std::span("123456789", 9));
  CHECK(internal::crc32(bytes) == 0xCBF43926);
  CHECK(internal::crc32({}) == 0);
  const auto all = counted(1000);
  for (std::size_t cut = 0; cut <= 40; ++cut) {
    const auto span = std::span(all);
    CHECK(internal::crc32(span.subspan(cut), internal::crc32(span.first(cut))) ==
          internal::crc32(span));
  }
}

TEST_CASE("what is written is read again, each element type, empty ones and a scalar") {
  const TempFolder folder = test::scratch();
  const auto data = counted(4096);
  std::vector<TensorSource> tensors;
  const auto add = [&](std::string name, DType dtype, Shape shape) {
    const std::uint64_t size = byte_size(dtype, shape, name);
    tensors.push_back(memory_source({std::move(name), dtype, std::move(shape), 0, size},
                                    std::span(data).first(size)));
  };
  for (const char* name :
       {"BOOL", "U8", "I8", "I16", "I32", "I64", "F16", "BF16", "F32", "F64", "C64", "U16", "U32",
        "U64", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"}) {
    add(name, *parse_dtype(name), {3, 5});
  }
  add("empty", DType::F32, {0, 70000});
  add("scalar", DType::BF16, {});
  add("long", DType::U8, {300, 3});
  // Nothing to store, and numbers that take more than 31 bits.
  for (const std::uint64_t count : {std::uint64_t{1} << 31, std::uint64_t{1} << 58}) {
    add("none of " + std::to_string(count), DType::F32, {count, 0});
  }
  const auto path = folder.path() / "x.pt";
  write(path, tensors);
  const auto file = TorchFile::open(path);
  file.check();
  REQUIRE(file.tensors().size() == tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TorchTensor& tensor = file.tensors()[i];
    CHECK(tensor.name == tensors[i].info.name);
    CHECK(tensor.dtype == tensors[i].info.dtype);
    CHECK(tensor.shape == tensors[i].info.shape);
    CHECK(read_all(file, tensor) ==
          std::vector(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(tensor.size)));
    CHECK(tensor.begin % 64 == 0);
  }
}

TEST_CASE("torch lacks 4-bit and 6-bit floats; two tensors of one name are refused") {
  const TempFolder folder = test::scratch();
  const auto data = counted(8);
  const auto source = [&](DType dtype, Shape shape) {
    return memory_source({"w", dtype, std::move(shape), 0, 8}, data);
  };
  CHECK(error_of([&] { write(folder.path() / "a", {source(DType::F4, {16})}); }) ==
        "incompatible: tensor 'w': torch has no elements of F4");
  CHECK(error_of([&] {
          write(folder.path() / "b", {source(DType::U8, {8}), source(DType::U8, {8})});
        }) == "invalid_argument: tensor 'w': is given twice");
}

// What TorchFile would not read again; the file stays empty.
TEST_CASE("what passes a limit of the reader is refused before anything is written") {
  const TempFolder folder = test::scratch();
  const auto path = folder.path() / "x.pt";
  const auto refused = [&](std::size_t count, const std::string& end, const Shape& shape,
                           std::string_view words) {
    std::vector<TensorSource> tensors;
    for (std::size_t i = 0; i < count; ++i) {
      tensors.push_back(
          memory_source({std::to_string(i) + end, DType::U8, shape, 0, 0}, std::span<std::byte>()));
    }
    const std::string said = error_of([&] { write(path, tensors); });
    CHECK_MESSAGE(said.find(words) != said.npos, said);
    CHECK(read_file(path, 1).empty());
  };
  refused(65'537, "", {0}, "incompatible: 65537 tensors, the limit of one file is 65536");
  refused(65'536, std::string(500, 'n'), {0}, "bytes, the limit is 33554432");
  refused(1, std::string(512, 'n'), {0}, "incompatible: tensor '0n");
  refused(1, "", Shape(9, 0), "9 dimensions");
  refused(1, "", {0, std::uint64_t{1} << 63}, "cannot count");
  refused(1, "", {0, std::uint64_t{1} << 40, std::uint64_t{1} << 40}, "cannot count");
}

// Any strides at all, cut at any byte, give what indexing gives.
TEST_CASE("elements that lie apart are brought together") {
  const auto stored = counted(600);
  const Shape shape{3, 4, 5};
  for (const Shape& strides : {Shape{20, 5, 1}, Shape{1, 3, 12}, Shape{0, 7, 2}, Shape{40, 9, 2}}) {
    for (const std::size_t width : {1, 2, 4}) {
      std::vector<std::byte> expected;
      for (std::uint64_t i = 0; i < shape[0]; ++i) {
        for (std::uint64_t j = 0; j < shape[1]; ++j) {
          for (std::uint64_t k = 0; k < shape[2]; ++k) {
            const std::uint64_t at = (i * strides[0] + j * strides[1] + k * strides[2]) * width;
            for (std::size_t b = 0; b < width; ++b) expected.push_back(stored[at + b]);
          }
        }
      }
      for (const std::size_t piece : {1, 3, 7, 64, 1000}) {
        std::vector<std::byte> found(expected.size());
        for (std::size_t at = 0; at < found.size(); at += piece) {
          internal::gather(stored, shape, strides, width, at,
                           std::span(found).subspan(at, std::min(piece, found.size() - at)));
        }
        CHECK(found == expected);
      }
    }
  }
  CHECK(internal::lies_in_order({3, 1, 5}, {5, 99, 1}));
  CHECK(internal::lies_in_order({}, {}));
  CHECK(internal::lies_in_order({2, 0}, {7, 7}));
  CHECK(internal::lies_in_order({0, 5}, {1, 7}));
  CHECK_FALSE(internal::lies_in_order({3, 5}, {1, 3}));
  CHECK(internal::extent({3, 5}, {1, 3}) == 15);
  CHECK(internal::extent({}, {}) == 1);
}

TEST_CASE("every byte that is changed in a ZIP file is noticed, or changes nothing that is read") {
  const TempFolder folder = test::scratch();
  const auto data = counted(24);
  const auto path = folder.path() / "x.pt", other = folder.path() / "y.pt";
  write(path, {memory_source({"w", DType::F32, {2, 3}, 0, 24}, data)});
  const std::string good = read_file(path, 1 << 20);
  std::size_t unnoticed = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    write_file(other, bad);
    try {
      const auto file = TorchFile::open(other);
      file.check();
      REQUIRE(file.tensors().size() == 1);
      CHECK(read_all(file, file.tensors()[0]) == data);
      ++unnoticed;
    } catch (const Error& error) {
      const bool known =
          error.code() == ErrorCode::corrupt || error.code() == ErrorCode::incompatible;
      CHECK_MESSAGE(known, error.what());
    }
  }
  CHECK(unnoticed < good.size() / 2);  // padding, times and versions
}

TEST_CASE("checking and writing tell their work of every byte") {
  const TempFolder folder = test::scratch();
  const auto data = counted(3'000'000);
  const std::vector<TensorSource> tensors = {
      memory_source({"a", DType::U8, {3'000'000}, 0, 3'000'000}, data)};
  test::Watcher watcher;
  write(folder.path() / "x", tensors, Work(&watcher).phase("writing", 3'000'000));
  const auto file = TorchFile::open(folder.path() / "x");
  file.check(Work(&watcher).phase("checking", file.checked_size()));
  test::check_phases(watcher);
}

}  // namespace
}  // namespace organ::format
