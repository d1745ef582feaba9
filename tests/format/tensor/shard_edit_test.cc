// SPDX-License-Identifier: Apache-2.0
#include "format/tensor/shard_edit.h"

#include <doctest/doctest.h>

#include <fcntl.h>

#include <bit>
#include <string>
#include <vector>

#include "format/base/file.h"
#include "format/tensor/convert.h"
#include "tests/support/support.h"

using namespace organ;
using namespace organ::format;

namespace {

// A header no canonical writer would make: white space and keys out of order.
std::string odd_shard() {
  std::string header =
      "{ \"b\" : {\"shape\":[2,2],\"data_offsets\":[4, 20],\"dtype\":\"F32\"},\n"
      "  \"a\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}  }   ";
  std::string file(8, '\0');
  file[0] = static_cast<char>(header.size());
  return file + header + "AAAABBBBBBBBBBBBBBBB";
}

TensorSource letters(std::string name, DType dtype, Shape shape, const std::string& bytes) {
  return memory_source({std::move(name), dtype, std::move(shape), 0, bytes.size()},
                       std::as_bytes(std::span(bytes)));
}

UniqueFd new_file(const std::filesystem::path& path) {
  return UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
}

}  // namespace

TEST_CASE("an edited shard keeps its header and every byte that was not replaced") {
  const TempFolder folder = test::scratch();
  const std::string old = odd_shard();
  write_file(folder.path() / "old.safetensors", old);
  const SafetensorsFile shard = SafetensorsFile::open(folder.path() / "old.safetensors");
  const UniqueFd to = new_file(folder.path() / "new.safetensors");
  const std::string bytes = "0123456789abcdef";
  const ShardEdit edit =
      copy_shard_with(shard, to.get(), "new", {letters("b", DType::F32, {2, 2}, bytes)});
  const std::string expected = old.substr(0, old.size() - 16) + bytes;
  CHECK(read_file(folder.path() / "new.safetensors", 1000) == expected);
  CHECK(edit.size == old.size());
  CHECK(edit.before == sha256(old));
  CHECK(edit.after == sha256(expected));
  // Whose write failed is said: the old shard is whole.
  const UniqueFd closed = open_regular(folder.path() / "old.safetensors");
  CHECK(test::error_of([&] {
          copy_shard_with(shard, closed.get(), "new", {});
        }).starts_with("io: 'new'"));
}

TEST_CASE("elements stay whole wherever a shard's header lets its data begin") {
  // Odd numbers of bytes before tensors of several pieces, between small ones.
  constexpr std::size_t kCount = (std::size_t{5} << 20) + 3;
  const std::vector<float> values = [] {
    std::vector<float> all(kCount);
    for (std::size_t i = 0; i < kCount; ++i) all[i] = static_cast<float>(i % 251);
    return all;
  }();
  const TempFolder folder = test::scratch();
  for (const std::size_t blanks : {0, 1, 3}) {
    const std::string end = std::to_string(1 + 2 * kCount);
    const std::string header =
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[" +
        std::to_string(kCount) + "],\"data_offsets\":[1," + end + "]}}" + std::string(blanks, ' ');
    std::string old(8, '\0');
    old[0] = static_cast<char>(header.size());
    old += header + std::string(1 + 2 * kCount, 'x');
    const std::string name = "old" + std::to_string(blanks);
    write_file(folder.path() / name, old);
    const SafetensorsFile shard = SafetensorsFile::open(folder.path() / name);
    const UniqueFd to = new_file(folder.path() / (name + ".new"));
    std::string seen;
    const TensorSource wide =
        memory_source({"b", DType::F32, {kCount}, 0, 0}, std::as_bytes(std::span(values)));
    const ShardEdit edit = copy_shard_with(
        shard, to.get(), "new", {converted_source(wide, DType::BF16)}, {},
        [&](const TensorInfo& stored, std::uint64_t offset, std::span<const std::byte> bytes) {
          CHECK(stored.name == "b");
          CHECK(offset == seen.size());
          seen.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        });
    std::string expected = old.substr(0, old.size() - 2 * kCount);
    for (const float value : values) {  // small integers: bf16 is the upper half
      const auto bits = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16);
      expected += {static_cast<char>(bits & 0xff), static_cast<char>(bits >> 8)};
    }
    CHECK(seen == old.substr(old.size() - 2 * kCount));
    CHECK((read_file(folder.path() / (name + ".new"), 1u << 26) == expected));
    CHECK(edit.after == sha256(expected));
    const UniqueFd other = new_file(folder.path() / (name + ".other"));
    write_shard_with(shard, other.get(), "new", {converted_source(wide, DType::BF16)});
    CHECK((read_file(folder.path() / (name + ".other"), 1u << 26) == expected));
  }
}

TEST_CASE("every choice of replaced tensors is written where it stands") {
  // Pieces that begin and end inside tensors, several tensors in a piece, the first and the last.
  constexpr std::size_t kSizes[] = {7, 1'000'000, 11, 13, 5'000'000, 1'500'000, 1};
  constexpr std::size_t kCount = std::size(kSizes);
  std::string header = "{", data;
  for (std::size_t i = 0; i < kCount; ++i) {
    const std::string size = std::to_string(kSizes[i]), begin = std::to_string(data.size());
    data += std::string(kSizes[i], static_cast<char>('a' + i));
    header += (i == 0 ? "\"" : ",\"") + std::to_string(i);
    header += R"(":{"dtype":"U8","shape":[)" + size;
    header += R"(],"data_offsets":[)" + begin;
    header += "," + std::to_string(data.size()) + "]}";
  }
  header += "}";
  std::string old(8, '\0');
  old[0] = static_cast<char>(header.size() & 0xff);
  old[1] = static_cast<char>(header.size() >> 8);
  old += header + data;
  const TempFolder folder = test::scratch();
  write_file(folder.path() / "old", old);
  const SafetensorsFile shard = SafetensorsFile::open(folder.path() / "old");
  std::string bytes;
  bytes.resize(5'000'000, 'Z');
  for (unsigned chosen = 0; chosen < (1u << kCount); chosen += chosen < 3 ? 1 : 17) {
    CAPTURE(chosen);
    std::string expected = old;
    std::vector<TensorSource> sources;
    std::size_t at = old.size() - data.size();
    for (std::size_t i = 0; i < kCount; at += kSizes[i++]) {
      if ((chosen >> i & 1) == 0) continue;
      expected.replace(at, kSizes[i], kSizes[i], 'Z');
      sources.push_back(letters(std::to_string(i), DType::U8, {kSizes[i]}, bytes));
      sources.back().info.size = kSizes[i];
    }
    const std::filesystem::path hashed = folder.path() / "hashed", plain = folder.path() / "plain";
    const UniqueFd one = new_file(hashed), other = new_file(plain);
    const ShardEdit edit = copy_shard_with(shard, one.get(), "new", sources);
    write_shard_with(shard, other.get(), "new", sources);
    CHECK((read_file(hashed, 1u << 26) == expected));
    CHECK((read_file(plain, 1u << 26) == expected));
    CHECK(edit.after == sha256(expected));
    CHECK(written_size(shard, sources, false) == old.size());
    CHECK(written_size(shard, sources, true) >= total_size(sources));
    CHECK(written_size(shard, sources, true) <= total_size(sources) + sources.size() * 8192);
    std::filesystem::remove(hashed);
    std::filesystem::remove(plain);
  }
}

TEST_CASE("a replacement of another form or name is refused before anything is written") {
  const TempFolder folder = test::scratch();
  write_file(folder.path() / "old.safetensors", odd_shard());
  const SafetensorsFile shard = SafetensorsFile::open(folder.path() / "old.safetensors");
  const UniqueFd to = new_file(folder.path() / "new.safetensors");
  const auto refusal = [&](TensorSource source) {
    return test::error_of([&] { copy_shard_with(shard, to.get(), "new", {std::move(source)}); });
  };
  const std::string bytes(16, 'x');
  CHECK(refusal(letters("b", DType::F32, {4}, bytes)).find("[2, 2]") != std::string::npos);
  CHECK(refusal(letters("b", DType::I32, {2, 2}, bytes)).starts_with("invalid_argument"));
  CHECK(refusal(letters("c", DType::F32, {2, 2}, bytes)).starts_with("not_found"));
  CHECK(file_size(to.get(), "new") == 0);
}
