// SPDX-License-Identifier: Apache-2.0
#include "format/tensor/safetensors.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "format/base/file.h"
#include "tests/support/bad_safetensors.h"
#include "tests/support/support.h"

namespace organ::format {
namespace {

using test::error_of;
using test::safetensors_bytes;

SafetensorsHeader parse(const std::string& file, const SafetensorsLimits& limits = {}) {
  std::uint64_t length = 0;
  for (std::size_t i = 8; i-- > 0 && file.size() >= 8;) {
    length = length << 8 | static_cast<unsigned char>(file[i]);
  }
  const bool fits = file.size() >= 8 && length <= file.size() - 8;
  return parse_safetensors_header(std::string_view(file).substr(0, fits ? 8 + length : 8),
                                  file.size(), "x.safetensors", limits);
}

std::filesystem::path put(const TempFolder& folder, std::string_view name, std::string_view bytes) {
  auto path = folder.path() / name;
  write_file(path, bytes);
  return path;
}

long peak_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

const std::string kSmall = safetensors_bytes(
    R"({"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[2,2],"data_offsets":[0,8]},)"
    R"("b.weight":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}})",
    std::string("\1\2\3\4\5\6\7\x08"
                "abc",
                11));

TEST_CASE("a valid header gives its tensors in offset order and finds them by name") {
  const auto header = parse(kSmall);
  REQUIRE(header.tensors.size() == 2);
  CHECK(header.tensors[0] == TensorInfo{"a", DType::BF16, {2, 2}, 0, 8});
  CHECK(header.find("b.weight") == &header.tensors[1]);
  CHECK(header.find("b") == nullptr);
  CHECK(header.metadata.at("format") == "pt");
  CHECK(header.data_start + 11 == header.file_size);
}

TEST_CASE("every malformed file of the table is refused as corrupt with its reason") {
  const auto scratch = test::scratch();
  for (const auto& bad : test::bad_safetensors()) {
    CAPTURE(bad.name);
    const auto path = put(scratch, "bad.safetensors", bad.bytes);
    const std::string error = error_of([&] { SafetensorsFile::open(path); });
    CAPTURE(error);
    CHECK(error.starts_with("corrupt: "));
    CHECK(error.find(bad.expected) != std::string::npos);
    CHECK(error.find("bad.safetensors") != std::string::npos);
    CHECK(error.size() < 1000);
  }
}

TEST_CASE("white space around the header object is accepted, as by the reference") {
  CHECK(parse(safetensors_bytes(" \n\t{} \r\n  ")).tensors.empty());
}

TEST_CASE("empty tensors may share an offset with a neighbour and scalars have one element") {
  const auto header =
      parse(safetensors_bytes(R"({"z":{"dtype":"F32","shape":[0,7],"data_offsets":[4,4]},)"
                              R"("s":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
                              R"("a":{"dtype":"U8","shape":[1],"data_offsets":[4,5]},)"
                              R"("e":{"dtype":"F4","shape":[0],"data_offsets":[0,0]}})",
                              "12345"));
  REQUIRE(header.tensors.size() == 4);
  CHECK(header.tensors[0].name == "e");
  CHECK(header.tensors[1].name == "s");
  CHECK(header.tensors[2].name == "z");
  CHECK(header.tensors[3].name == "a");
}

TEST_CASE("a file cut at any byte is refused") {
  for (std::size_t size = 0; size < kSmall.size(); ++size) {
    CAPTURE(size);
    CHECK(error_of([&] { parse(kSmall.substr(0, size)); }).starts_with("corrupt: "));
  }
}

TEST_CASE("a flipped bit gives a refusal or another valid header, never anything else") {
  std::size_t accepted = 0;
  for (std::size_t bit = 0; bit < kSmall.size() * 8; ++bit) {
    CAPTURE(bit);
    std::string flipped = kSmall;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    const std::string error = error_of([&] {
      const auto header = parse(flipped);
      ++accepted;
      std::uint64_t end = 0;
      for (const auto& tensor : header.tensors) end += tensor.size;
      CHECK(header.data_start + end == flipped.size());
    });
    CHECK((error == "no error" || error.starts_with("corrupt: ")));
  }
  CHECK(accepted >= 11 * 8);  // flips of data bytes change nothing here
}

TEST_CASE("a header beyond the limit costs no memory, however large the file says it is") {
  const auto scratch = test::scratch();
  const auto path =
      put(scratch, "sparse.safetensors",
          safetensors_bytes("").replace(0, 8, std::string("\x01\xe1\xf5\x05\0\0\0\0", 8)));
  std::filesystem::resize_file(path, std::uint64_t{8} << 30);
  const long before = peak_kib();
  CHECK(error_of([&] { SafetensorsFile::open(path); }).find("100000001 is beyond") !=
        std::string::npos);
  CHECK(peak_kib() - before < 1024);
}

TEST_CASE("a million tensors over no bytes are refused by count in little memory") {
  std::string header = "{";
  for (int i = 0; i < 200'000; ++i) {
    header += fmt::format("\"{}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}},", i);
  }
  header.back() = '}';
  const std::string file = safetensors_bytes(header);
  header = {};
  const long before = peak_kib();
  CHECK(error_of([&] { parse(file); }).find("more than 65536 tensors") != std::string::npos);
  CHECK(peak_kib() - before < 48 * 1024);
}

TEST_CASE("limits can be narrowed") {
  SafetensorsLimits limits;
  limits.tensors = 1;
  CHECK(error_of([&] { parse(kSmall, limits); }).find("more than 1 tensors") != std::string::npos);
  limits = {};
  limits.header_bytes = 16;
  CHECK(error_of([&] { parse(kSmall, limits); }).find("limit of 16") != std::string::npos);
  limits = {};
  limits.metadata_bytes = 7;
  CHECK(error_of([&] { parse(kSmall, limits); }).find("limit of 7") != std::string::npos);
}

TEST_CASE("things that are not regular files are refused without blocking") {
  const auto scratch = test::scratch();
  const auto fifo = scratch.path() / "fifo";
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(error_of([&] { SafetensorsFile::open(fifo); }).starts_with("corrupt: "));
  CHECK(error_of([&] { SafetensorsFile::open(scratch.path()); }).starts_with("corrupt: "));
  CHECK(error_of([&] { SafetensorsFile::open("/dev/zero"); }).starts_with("corrupt: "));
  CHECK(error_of([&] { SafetensorsFile::open(scratch.path() / "no"); }).starts_with("not_found: "));
  const auto loop = scratch.path() / "loop";
  std::filesystem::create_symlink("loop", loop);
  CHECK(error_of([&] { SafetensorsFile::open(loop); }) != "no error");
}

TEST_CASE("a file that shrinks after it was opened gives an error, not a crash") {
  const auto scratch = test::scratch();
  const auto path = put(scratch, "shrinks.safetensors", kSmall);
  const auto file = SafetensorsFile::open(path);
  REQUIRE(truncate(path.c_str(), static_cast<off_t>(kSmall.size() - 5)) == 0);
  CHECK(error_of([&] { file.read(file.tensor("b.weight")); }).starts_with("corrupt: "));
}

TEST_CASE("tensors are read as they are, misaligned ones too, and unknown names are named") {
  const auto scratch = test::scratch();
  const auto file = SafetensorsFile::open(put(scratch, "a.safetensors", kSmall));
  const auto bytes = file.read(file.tensor("b.weight"));
  CHECK(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()) == "abc");
  CHECK(error_of([&] { file.tensor("gone"); }).find("not_found: ") == 0);
  CHECK(error_of([&] { file.tensor("gone"); }).find("'gone'") != std::string::npos);
}

TEST_CASE("a million dimensions and a long name do not appear whole in the message") {
  const std::string file = safetensors_bytes("{\"" + std::string(5000, 'n') + "\":{}}");
  CHECK(error_of([&] { parse(file); }).size() < 800);
}

}  // namespace
}  // namespace organ::format
