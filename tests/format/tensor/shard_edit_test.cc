// SPDX-License-Identifier: Apache-2.0
#include "format/tensor/shard_edit.h"

#include <doctest/doctest.h>

#include <fcntl.h>

#include <string>

#include "format/base/file.h"
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
      copy_shard_with(shard, to.get(), {letters("b", DType::F32, {2, 2}, bytes)});
  const std::string expected = old.substr(0, old.size() - 16) + bytes;
  CHECK(read_file(folder.path() / "new.safetensors", 1000) == expected);
  CHECK(edit.size == old.size());
  CHECK(edit.before == sha256(old));
  CHECK(edit.after == sha256(expected));
}

TEST_CASE("a replacement of another form or name is refused before anything is written") {
  const TempFolder folder = test::scratch();
  write_file(folder.path() / "old.safetensors", odd_shard());
  const SafetensorsFile shard = SafetensorsFile::open(folder.path() / "old.safetensors");
  const UniqueFd to = new_file(folder.path() / "new.safetensors");
  const auto refusal = [&](TensorSource source) {
    return test::error_of([&] { copy_shard_with(shard, to.get(), {std::move(source)}); });
  };
  const std::string bytes(16, 'x');
  CHECK(refusal(letters("b", DType::F32, {4}, bytes)).find("[2, 2]") != std::string::npos);
  CHECK(refusal(letters("b", DType::I32, {2, 2}, bytes)).starts_with("invalid_argument"));
  CHECK(refusal(letters("c", DType::F32, {2, 2}, bytes)).starts_with("not_found"));
  CHECK(file_size(to.get(), "new") == 0);
}
