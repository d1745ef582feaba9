// SPDX-License-Identifier: Apache-2.0
#include "tests/support/bad_safetensors.h"

#include <fmt/format.h>

namespace organ::test {
namespace {

std::string with_length(std::uint64_t length, std::string_view rest) {
  std::string bytes = safetensors_bytes("");
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(length >> (8 * i) & 0xff);
  return bytes.append(rest);
}

// One tensor `a` with the given fields, followed by `size` zero bytes.
std::string one(std::string_view fields, std::size_t size = 4) {
  return safetensors_bytes(fmt::format(R"({{"a":{{{}}}}})", fields), std::string(size, '\0'));
}

std::string shaped(std::string_view dtype, std::string_view shape, std::string_view offsets,
                   std::size_t size = 4) {
  return one(fmt::format(R"("dtype":"{}","shape":{},"data_offsets":{})", dtype, shape, offsets),
             size);
}

constexpr std::string_view kEntry = R"({"dtype":"U8","shape":[4],"data_offsets":[0,4]})";

std::string named(std::string_view name) {
  return safetensors_bytes(fmt::format(R"({{"{}":{}}})", name, kEntry), "data");
}

std::string two(std::string_view first_range, std::string_view second_range, std::size_t size) {
  return safetensors_bytes(fmt::format(R"({{"a":{{"dtype":"U8","shape":[4],"data_offsets":{}}},)"
                                       R"("b":{{"dtype":"U8","shape":[4],"data_offsets":{}}}}})",
                                       first_range, second_range),
                           std::string(size, '\0'));
}

std::string repeated_entries(std::size_t count) {
  std::string header = "{";
  for (std::size_t i = 0; i < count; ++i) {
    header += fmt::format(R"({}"t{}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
                          i == 0 ? "" : ",", i);
  }
  return safetensors_bytes(header + "}");
}

void add_lengths(std::vector<BadSafetensors>& bad) {
  bad.push_back({"empty-file", "", "too short"});
  bad.push_back({"seven-bytes", std::string(7, '\0'), "too short"});
  bad.push_back({"length-0", with_length(0, ""), "header is empty"});
  bad.push_back({"length-1", with_length(1, "{"), "header is empty"});
  bad.push_back({"length-beyond-file", with_length(3, "{}"), "does not fit the file"});
  bad.push_back({"length-2-63", with_length(std::uint64_t{1} << 63, "{}"), "beyond the limit"});
  bad.push_back({"length-2-64-1", with_length(UINT64_MAX, "{}"), "beyond the limit"});
  bad.push_back({"length-100000001", with_length(100'000'001, "{}"), "beyond the limit"});
  bad.push_back({"lfs-pointer",
                 "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
                 "Git LFS pointer"});
  bad.push_back({"zip", std::string("PK\x03\x04\x14\0\0\0\0\0\0\0", 12), "ZIP archive"});
  bad.push_back({"pickle", "\x80\x02}q\x01(X\x01\x01\x01\x01", "pickle"});
  bad.push_back({"gguf", std::string("GGUF\x03\0\0\0\1\0\0\0", 12), "GGUF"});
}

void add_json(std::vector<BadSafetensors>& bad) {
  const auto text = [&](std::string name, std::string_view header, std::string_view expected) {
    bad.push_back({std::move(name), safetensors_bytes(header), expected});
  };
  text("truncated-json", R"({"a":{"dtype":"U8")", "bad JSON");
  text("nul-in-json", std::string_view("{}\0", 3), "NUL byte");
  text("bad-utf8", "{\"__metadata__\":{\"a\":\"\xff\"}}", "bad JSON");
  text("overlong-utf8", "{\"__metadata__\":{\"a\":\"\xc0\xaf\"}}", "bad JSON");
  text("lone-surrogate", R"({"__metadata__":{"a":"\ud800"}})", "bad JSON");
  text("byte-order-mark", "\xef\xbb\xbf{}", "byte order mark");
  text("comment", "{} /* */", "bad JSON");
  text("line-comment", "//\n{}", "bad JSON");
  text("nan", R"({"__metadata__":NaN})", "bad JSON");
  text("infinity", R"({"__metadata__":Infinity})", "bad JSON");
  text("top-array", "[]", "an array, expected an object");
  text("top-string", "\"{}\"", "expected an object");
  text("top-null", "null", "is null, expected an object");
  text("top-number", "12", "is 12, expected an object");
  text("two-documents", "{}{}", "bad JSON");
  text("deep-arrays", std::string(100'000, '['), "an array, expected an object");
  text(
      "deep-objects",
      [] {
        std::string nested;
        for (int i = 0; i < 100'000; ++i) nested += R"({"a":)";
        return nested;
      }(),
      "field 'a' is unknown");
  text("deep-shape", R"({"a":{"shape":)" + std::string(100'000, '['), "at most 3 nested levels");
}

void add_duplicates(std::vector<BadSafetensors>& bad) {
  const std::string entry(kEntry);
  const auto text = [&](std::string name, const std::string& header, std::string_view expected) {
    bad.push_back({std::move(name), safetensors_bytes(header, "data"), expected});
  };
  text("name-twice-same-range", R"({"a":)" + entry + R"(,"a":)" + entry + "}", "twice");
  bad.push_back({"name-twice-other-range",
                 safetensors_bytes(R"({"a":)" + entry +
                                       R"(,"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
                                   "datadata"),
                 "twice"});
  text("name-twice-escaped", R"({"a":)" + entry + R"(,"\u0061":)" + entry + "}", "twice");
  text("dtype-twice", R"({"a":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
       "twice");
  text("shape-twice", R"({"a":{"dtype":"U8","shape":[4],"shape":[4],"data_offsets":[0,4]}})",
       "twice");
  text("offsets-twice",
       R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"data_offsets":[0,4]}})", "twice");
  text("metadata-twice", R"({"__metadata__":{},"__metadata__":{},"a":)" + entry + "}", "twice");
  text("metadata-key-twice", R"({"__metadata__":{"k":"1","k":"2"},"a":)" + entry + "}", "twice");
}

void add_fields(std::vector<BadSafetensors>& bad) {
  const auto text = [&](std::string name, std::string_view header, std::string_view expected) {
    bad.push_back({std::move(name), safetensors_bytes(header), expected});
  };
  text("metadata-integer", R"({"__metadata__":{"k":1}})", "is 1, expected a string");
  text("metadata-null-value", R"({"__metadata__":{"k":null}})", "is null, expected a string");
  text("metadata-nested", R"({"__metadata__":{"k":{}}})", "an object, expected a string");
  text("metadata-string", R"({"__metadata__":"k"})", "expected an object");
  text("metadata-null", R"({"__metadata__":null})", "is null, expected an object");
  text("metadata-is-a-tensor",
       R"({"__metadata__":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})", "expected a string");
  text("metadata-too-long", R"({"__metadata__":{"k":")" + std::string((1 << 20) + 1, 'x') + "\"}}",
       "at most 1048576");
  text("entry-null", R"({"a":null})", "is null, expected an object");
  text("entry-array", R"({"a":[]})", "an array, expected an object");
  text("entry-true", R"({"a":true})", "is true, expected an object");
  text("entry-empty", R"({"a":{}})", "'dtype' is missing");
  bad.push_back({"field-extra", one(R"("dtype":"U8","shape":[4],"data_offsets":[0,4],"x":1)"),
                 "field 'x' is unknown"});
  bad.push_back({"field-wrong-case", one(R"("Dtype":"U8","shape":[4],"data_offsets":[0,4])"),
                 "field 'Dtype' is unknown"});
  bad.push_back(
      {"dtype-missing", one(R"("shape":[4],"data_offsets":[0,4])"), "'dtype' is missing"});
  bad.push_back(
      {"shape-missing", one(R"("dtype":"U8","data_offsets":[0,4])"), "'shape' is missing"});
  bad.push_back(
      {"offsets-missing", one(R"("dtype":"U8","shape":[4])"), "'data_offsets' is missing"});
  bad.push_back({"dtype-unknown", shaped("F128", "[4]", "[0,4]"), "'F128' is unknown"});
  bad.push_back({"dtype-lower-case", shaped("u8", "[4]", "[0,4]"), "'u8' is unknown"});
  bad.push_back({"dtype-number", one(R"("dtype":8,"shape":[4],"data_offsets":[0,4])"),
                 "dtype is 8, expected a string"});
  bad.push_back({"shape-string", shaped("U8", "\"4\"", "[0,4]"), "expected an array"});
  bad.push_back({"shape-null", shaped("U8", "null", "[0,4]"), "shape is null"});
  bad.push_back({"shape-object", shaped("U8", "{}", "[0,4]"), "expected an array"});
}

void add_numbers(std::vector<BadSafetensors>& bad) {
  bad.push_back({"dimension-negative", shaped("U8", "[-4]", "[0,4]"), "-4 is negative"});
  bad.push_back({"dimension-real", shaped("U8", "[4.0]", "[0,4]"), "expected an integer"});
  bad.push_back({"dimension-1e3", shaped("U8", "[1e3]", "[0,1000]", 1000), "expected an integer"});
  bad.push_back({"dimension-minus-0", shaped("U8", "[-0]", "[0,0]", 0), "-0"});
  bad.push_back({"dimension-string", shaped("U8", "[\"4\"]", "[0,4]"), "expected an integer"});
  bad.push_back({"dimension-null", shaped("U8", "[null]", "[0,4]"), "holds null"});
  bad.push_back(
      {"dimension-2-63", shaped("U8", "[9223372036854775808]", "[0,4]"), "beyond 2^63 - 1"});
  bad.push_back(
      {"dimension-2-64-2", shaped("U8", "[2,18446744073709551614]", "[0,4]"), "beyond 2^63 - 1"});
  bad.push_back({"dimension-2-64", shaped("U8", "[18446744073709551616]", "[0,4]"), "64-bit"});
  bad.push_back({"leading-zero", shaped("U8", "[04]", "[0,4]"), "bad JSON"});
  bad.push_back({"plus-sign", shaped("U8", "[+4]", "[0,4]"), "bad JSON"});
  bad.push_back({"rank-9", shaped("U8", "[1,1,1,1,1,1,1,1,4]", "[0,4]"), "more than 8 dim"});
  std::string million = "[1";
  for (int i = 1; i < 1'000'000; ++i) million += ",1";
  bad.push_back({"rank-million", shaped("U8", million + "]", "[0,4]"), "more than 8 dim"});
  bad.push_back({"product-2x2-64-2", shaped("U8", "[2,9223372036854775807]", "[0,4]"),
                 "does not fit 64 bits"});
  bad.push_back({"product-2-32-squared", shaped("U8", "[4294967296,4294967296]", "[0,0]", 0),
                 "does not fit 64 bits"});
  bad.push_back({"product-times-width", shaped("F32", "[2,4611686018427387904]", "[0,0]", 0),
                 "does not fit 64 bits"});
  bad.push_back({"zero-times-huge",
                 shaped("U8", "[0,4611686018427387904,4611686018427387904]", "[0,0]", 0),
                 "does not fit 64 bits"});
  bad.push_back({"half-a-byte", shaped("F4", "[3]", "[0,2]", 2), "whole number of bytes"});
  bad.push_back({"six-bits", shaped("F6_E2M3", "[2]", "[0,2]", 2), "whole number of bytes"});
}

void add_ranges(std::vector<BadSafetensors>& bad) {
  bad.push_back({"offsets-swapped", shaped("U8", "[4]", "[4,0]"), "begin at 4 after their end 0"});
  bad.push_back({"offsets-one", shaped("U8", "[4]", "[4]"), "1 element"});
  bad.push_back({"offsets-three", shaped("U8", "[4]", "[0,4,8]"), "more than 2 elements"});
  bad.push_back({"offsets-none", shaped("U8", "[4]", "[]"), "missing or empty"});
  bad.push_back({"offsets-negative", shaped("U8", "[4]", "[-4,0]"), "-4 is negative"});
  bad.push_back({"offsets-real", shaped("U8", "[4]", "[0,4.0]"), "expected an integer"});
  bad.push_back({"offsets-beyond-2-53", shaped("U8", "[4]", "[9007199254740996,9007199254741000]"),
                 "data begins at byte 9007199254740996, expected 0"});
  bad.push_back({"offsets-near-2-64",
                 shaped("U8", "[4]", "[18446744073709551611,18446744073709551615]"),
                 "data begins at byte 18446744073709551611"});
  bad.push_back({"past-the-end", shaped("U8", "[5]", "[0,5]"), "data ends at byte"});
  bad.push_back({"one-byte-less", shaped("U8", "[4]", "[0,3]", 3), "needs 4 bytes"});
  bad.push_back({"one-byte-more", shaped("U8", "[4]", "[0,5]", 5), "needs 4 bytes"});
  bad.push_back({"hole-at-start", shaped("U8", "[4]", "[1,5]", 5), "(hole)"});
  bad.push_back({"hole-between", two("[0,4]", "[5,9]", 9), "(hole)"});
  bad.push_back({"overlap", two("[0,4]", "[3,7]", 7), "(overlap)"});
  bad.push_back({"aliased", two("[0,4]", "[0,4]", 4), "(overlap)"});
  bad.push_back({"empty-tensor-inside-another",
                 safetensors_bytes(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                                   R"("b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
                                   "data"),
                 "expected 4 (overlap)"});
  bad.push_back({"trailing-byte", shaped("U8", "[4]", "[0,4]", 5), "1 byte after the last tensor"});
  bad.push_back(
      {"no-tensors-but-data", safetensors_bytes("{}", "x"), "1 byte after the last tensor"});
  bad.push_back({"zip-tail",
                 shaped("U8", "[4]", "[0,4]") + std::string("PK\x05\x06") + std::string(18, '\0'),
                 "22 bytes after the last tensor"});
}

void add_names(std::vector<BadSafetensors>& bad) {
  bad.push_back({"name-empty", named(""), "is empty"});
  bad.push_back({"name-5-KiB", named(std::string(5120, 'n')), "longer than 512 bytes"});
  bad.push_back({"name-newline", named(R"(a\nb)"), "printable ASCII"});
  bad.push_back({"name-nul", named(R"(a\u0000b)"), "printable ASCII"});
  bad.push_back({"name-escape-code", named(R"(a\u001b[31m)"), "printable ASCII"});
  bad.push_back({"name-bidi", named(std::string{'a', '\xe2', '\x80', '\xae'}), "printable ASCII"});
  bad.push_back({"name-non-ascii", named("caf\xc3\xa9"), "printable ASCII"});
  bad.push_back({"name-slash", named("a/b"), "like a path"});
  bad.push_back({"name-backslash", named(R"(a\\b)"), "like a path"});
  bad.push_back({"name-dot-dot", named(".."), "like a path"});
  bad.push_back({"name-absolute", named("/etc/passwd"), "like a path"});
  bad.push_back({"too-many-tensors", repeated_entries(65'537), "more than 65536 tensors"});
}

}  // namespace

std::vector<BadSafetensors> bad_safetensors() {
  std::vector<BadSafetensors> bad;
  add_lengths(bad);
  add_json(bad);
  add_duplicates(bad);
  add_fields(bad);
  add_numbers(bad);
  add_ranges(bad);
  add_names(bad);
  return bad;
}

}  // namespace organ::test
