// SPDX-License-Identifier: Apache-2.0
// Files cut off, with two headers that differ, with holes, with names of megabytes: refused or read
// within the memory that their tensors take. hostile_pickles.py has those that torch and Python
// make.
#include <fcntl.h>

#include <initializer_list>

#include <doctest/doctest.h>

#include "format/base/file.h"
#include "format/pickle/internal/crc32.h"
#include "format/pickle/internal/zip_format.h"
#include "format/pickle/torch_file.h"
#include "format/pickle/torch_writer.h"
#include "tests/support/support.h"

namespace organ::format {
namespace {

using internal::RecordWriter;
using test::error_of;

std::string joined(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const std::string_view part : parts) all += part;
  return all;
}

std::string text(std::string_view value) {
  return RecordWriter().text("X").number(value.size(), 4).text(value).bytes();
}

std::string integer(std::uint64_t value) {
  return RecordWriter().text("\x8a\x08").number(value, 8).bytes();
}

// {"w": a tensor of floats}, without the first and the last opcode.
std::string weights_inside(std::uint64_t elements, std::uint64_t count, std::uint64_t stride) {
  return joined({"}", text("w"), "ctorch._utils\n_rebuild_tensor_v2\n((", text("storage"),
                 "ctorch\nFloatStorage\n", text("0"), text("cpu"), integer(elements), "tQ",
                 integer(0), integer(count), "\x85", integer(stride), "\x85\x89",
                 "ccollections\nOrderedDict\n)RtRs"});
}

std::string pickle(std::initializer_list<std::string_view> parts) {
  return joined({"\x80\x02", joined(parts), "."});
}

std::string weights(std::uint64_t elements, std::uint64_t count, std::uint64_t stride) {
  return pickle({weights_inside(elements, count, stride)});
}

// The layout of before torch 1.6, up to the elements of its one storage.
std::string stream(const std::string& object, std::uint64_t elements) {
  return joined({pickle({"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"}),
                 pickle({"M\xe9\x03"}), pickle({"}", text("little_endian"), "\x88s"}), object,
                 pickle({"]", text("0"), "a"}), RecordWriter().number(elements, 8).bytes()});
}

// A ZIP member as tools write it that do not know a size before its end, or that use ZIP64 for all.
struct Written {
  std::string name, bytes;
  bool large = false, descriptor = false;
  std::uint64_t local_size = 0, described_size = 0;  // what they say; the truth where it is 0
};

std::string zip(const std::vector<Written>& members) {
  using namespace internal;
  RecordWriter file, directory;
  for (const Written& one : members) {
    const std::uint64_t place = file.bytes().size(), size = one.bytes.size();
    const std::uint32_t crc = crc32(std::as_bytes(std::span(one.bytes)));
    const std::uint64_t local = one.local_size ? one.local_size : size;
    const std::uint64_t in_header = one.large ? kIn64 : one.descriptor ? 0 : local;
    const std::uint64_t flags = one.descriptor ? kHasDescriptor : 0;
    const std::string extra = one.large ? RecordWriter()
                                              .number(kExtra64, 2)
                                              .number(16, 2)
                                              .number(local, 8)
                                              .number(local, 8)
                                              .bytes()
                                        : "";
    file.number(kLocalHeader, 4).number(45, 2).number(flags, 2).number(0, 2).number(0, 4);
    file.number(one.descriptor ? 0 : crc, 4).number(in_header, 4).number(in_header, 4);
    file.number(one.name.size(), 2).number(extra.size(), 2).text(one.name).text(extra);
    file.text(one.bytes);
    const unsigned width = one.large ? 8 : 4;
    const std::uint64_t described = one.described_size ? one.described_size : size;
    if (one.descriptor) {
      file.number(kDescriptor, 4).number(crc, 4).number(described, width).number(described, width);
    }
    const std::string more = one.large ? RecordWriter()
                                             .number(kExtra64, 2)
                                             .number(24, 2)
                                             .number(size, 8)
                                             .number(size, 8)
                                             .number(place, 8)
                                             .bytes()
                                       : "";
    directory.number(kCentralHeader, 4).number(45, 2).number(45, 2).number(flags, 2).number(0, 2);
    directory.number(0, 4).number(crc, 4).number(one.large ? kIn64 : size, 4);
    directory.number(one.large ? kIn64 : size, 4).number(one.name.size(), 2);
    directory.number(more.size(), 2).text(std::string(10, '\0'));
    directory.number(one.large ? kIn64 : place, 4).text(one.name).text(more);
  }
  const std::uint64_t begin = file.bytes().size(), bytes = directory.bytes().size();
  file.text(directory.bytes()).number(kEnd, 4).number(0, 4).number(members.size(), 2);
  file.number(members.size(), 2).number(bytes, 4).number(begin, 4).number(0, 2);
  return file.bytes();
}

std::vector<Written> members(const std::string& object, const std::string& storage,
                             const Written& how) {
  std::vector<Written> all{{"a/data.pkl", object}, {"a/data/0", storage}, {"a/version", "3\n"}};
  for (Written& one : all) {
    one.large = how.large;
    one.descriptor = how.descriptor;
  }
  all[1].local_size = how.local_size;
  all[1].described_size = how.described_size;
  return all;
}

struct Folder {
  TempFolder folder = test::scratch();
  std::filesystem::path path = folder.path() / "given.pt";

  std::string refusal(const std::string& bytes) const {
    write_file(path, bytes);
    return error_of([&] { TorchFile::open(path).check(); });
  }
  std::vector<std::byte> read(const std::string& bytes) const {
    write_file(path, bytes);
    return first_tensor();
  }
  std::vector<std::byte> first_tensor() const {
    const auto file = TorchFile::open(path);
    file.check();
    const TorchTensor& tensor = file.tensors().at(0);
    std::vector<std::byte> out(tensor.size);
    file.source(tensor, "w").read(0, out);
    return out;
  }
};

const std::string kNumbers = "\1\2\3\4\5\6\7\10";

std::vector<std::byte> numbers() {
  const auto bytes = std::as_bytes(std::span(kNumbers));
  return {bytes.begin(), bytes.end()};
}

TEST_CASE("ZIP64 and sizes that stand behind the bytes are read, each with the other too") {
  const Folder folder;
  for (const bool large : {false, true}) {
    for (const bool descriptor : {false, true}) {
      const Written how{.name = "", .bytes = "", .large = large, .descriptor = descriptor};
      CHECK(folder.read(zip(members(weights(2, 2, 1), kNumbers, how))) == numbers());
    }
  }
}

TEST_CASE("an empty tensor is read whatever its strides are") {
  const Folder folder;
  std::string object = weights(0, 0, 1);
  const std::string one = integer(0) + "\x85" + integer(1) + "\x85\x89";
  const auto at = object.find(one);
  REQUIRE(at != object.npos);
  object.replace(at, one.size(),
                 joined({integer(0), integer(5), "\x86", integer(1), integer(7), "\x86\x89"}));
  CHECK(folder.read(zip(members(object, "", {}))).empty());
}

TEST_CASE("a size that is told in two places must be the same in both") {
  const Folder folder;
  for (const bool large : {false, true}) {
    Written how{.name = "", .bytes = "", .large = large, .local_size = 4};
    CHECK(folder.refusal(zip(members(weights(2, 2, 1), kNumbers, how)))
              .ends_with("the two headers of member 'a/data/0' differ"));
    how = {.name = "", .bytes = "", .large = large, .descriptor = true, .described_size = 4};
    CHECK(folder.refusal(zip(members(weights(2, 2, 1), kNumbers, how)))
              .ends_with("the data descriptor of member 'a/data/0' differs from its headers"));
  }
}

TEST_CASE("cut off at any byte, a file of either layout is refused") {
  const Folder folder;
  const Written plain{}, described{.name = "", .bytes = "", .large = true, .descriptor = true};
  for (const std::string& good : {zip(members(weights(2, 2, 1), kNumbers, plain)),
                                  zip(members(weights(2, 2, 1), kNumbers, described)),
                                  stream(weights(2, 2, 1), 2) + kNumbers}) {
    CHECK(folder.read(good) == numbers());
    for (std::size_t size = 0; size < good.size(); ++size) {
      const std::string said = folder.refusal(good.substr(0, size));
      CHECK_MESSAGE(said.starts_with("corrupt: "), size << ": " << said);
    }
  }
}

// 32 GiB of holes between two numbers: what is between them is not read into memory.
TEST_CASE("elements far apart in a file of holes take the memory of the tensor") {
  const Folder folder;
  constexpr std::uint64_t kElements = std::uint64_t{1} << 33;
  const std::string head = stream(weights(kElements, 2, kElements - 1), kElements);
  write_file(folder.path, head + kNumbers.substr(0, 4));
  {
    const UniqueFd fd(::open(folder.path.c_str(), O_RDWR | O_CLOEXEC));
    write_at(fd.get(), head.size() + 4 * (kElements - 1),
             std::as_bytes(std::span(kNumbers)).subspan(4), "given.pt");
  }
  CHECK(folder.first_tensor() == numbers());
}

// Each of them is some bytes of pickle that would cost 8 MB of time and memory.
TEST_CASE("long texts that stand for keys many times are measured, not copied") {
  const Folder folder;
  const std::string key = joined({text(std::string(8'000'000, 'k')), "q\1", "0"});
  std::string items;
  for (int i = 0; i < 50'000; ++i) items += "}h\1Nsa";
  const auto file = [](const std::string& object) { return zip(members(object, kNumbers, {})); };
  CHECK(folder.read(file(pickle({"]", key, items, weights_inside(2, 2, 1), "a"}))) == numbers());
  CHECK(folder.refusal(file(pickle({"]", key, "}h\1]sa"})))
            .ends_with("a name of more than 512 bytes"));
  const std::string said = folder.refusal(
      file(pickle({key, "(", text("storage"), "ctorch\nFloatStorage\nh\1", text("cpu"), "K\2tQ"})));
  CHECK(said.find("the key of a storage has 8000000 bytes, the limit is 512") != said.npos);
}

TEST_CASE("values that cost a byte each fill no memory") {
  const Folder folder;
  const std::string list = joined({"](", std::string(900'000, 'N'), "ea"});
  const std::string said =
      folder.refusal(zip(members(pickle({"]", list, list, list, list, list, list}), kNumbers, {})));
  CHECK(said.find("containers of more than 4000000 values") != said.npos);
}

}  // namespace
}  // namespace organ::format
