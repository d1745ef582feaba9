// SPDX-License-Identifier: Apache-2.0
// Files and memory of the same bytes: everything that is made of them is the same.
#include "train/data/source/read_source.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>
#include <sys/mman.h>

#include <doctest/doctest.h>

#include "format/base/file.h"
#include "tests/support/support.h"
#include "tests/train/support/letter_tokenizer.h"
#include "train/data/token_stream.h"
#include "train/tokenizer/tokenizer.h"

namespace organ::train {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kVocabulary = 29;

void check_same(const TokenStream& memory, const TokenStream& file) {
  CHECK(std::ranges::equal(memory.ids(), file.ids()));
  CHECK(std::ranges::equal(memory.document_starts(), file.document_starts()));
  CHECK(std::ranges::equal(memory.row_starts(), file.row_starts()));
  CHECK(memory.digest() == file.digest());
  CHECK(memory.text_bytes() == file.text_bytes());
  CHECK(memory.text_words() == file.text_words());
  CHECK(memory.row_length() == file.row_length());
  REQUIRE(memory.files().size() == file.files().size());
  for (std::size_t i = 0; i < file.files().size(); ++i) {
    CHECK(memory.files()[i].name == file.files()[i].name);
    CHECK(memory.files()[i].digest == file.files()[i].digest);
    CHECK(memory.files()[i].bytes == file.files()[i].bytes);
    CHECK(memory.files()[i].tokens == file.files()[i].tokens);
  }
}

// A folder for files; what is said of one there is said of memory without the folder.
struct Both {
  fs::path write(const std::string& name, std::string_view bytes) const {
    write_file(folder.path() / name, bytes);
    return folder.path() / name;
  }
  std::string without_folder(std::string text) const {
    const std::string path = folder.path().string() + "/";
    for (auto at = text.find(path); at != std::string::npos; at = text.find(path)) {
      text.erase(at, path.size());
    }
    return text;
  }
  // The end of sequence is the last id of the tokenizer: only its whole vocabulary has it.
  TokenStream read(const TextSource& source, std::uint64_t vocabulary = kVocabulary) const {
    return TokenStream::from_texts(
        {source}, tokenizer, vocabulary,
        {.split = DocumentSplit::blank_lines, .end_of_sequence = vocabulary == kVocabulary});
  }

  TempFolder folder = test::scratch();
  Tokenizer tokenizer = Tokenizer::open(test::write_letter_tokenizer(folder.path()));
};

// Memory that is there, and that nobody reads.
struct Untouched {
  explicit Untouched(std::size_t bytes)
      : size(bytes),
        start(mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
    REQUIRE(start != MAP_FAILED);
  }
  ~Untouched() { munmap(start, size); }
  Untouched(const Untouched&) = delete;

  std::size_t size;
  void* start;
};

// What safetensors 0.8's save_file writes of a tensor `ids`, and organ's own writer does not.
std::string plain_file(const std::vector<std::int64_t>& ids, std::size_t length) {
  std::string json =
      fmt::format(R"({{"ids":{{"dtype":"I64","shape":[{},{}],"data_offsets":[0,{}]}}}})",
                  ids.size() / length, length, 8 * ids.size());
  while (json.size() % 8 != 0) json += ' ';
  std::string file(8, '\0');
  file[0] = static_cast<char>(json.size());
  const auto* bytes = reinterpret_cast<const char*>(ids.data());
  return (file + json).append(bytes, 8 * ids.size());
}

}  // namespace

TEST_CASE("a text in memory is the file of its bytes") {
  const Both both;
  const std::vector<std::pair<std::string, std::string>> texts = {
      {"a.txt", "abc\n\nde f\n\n"},
      {"b.jsonl", "abc"},  // warned of
      {"c.txt", "ab<|endoftext|>\r\n\r\ncd"},
      {"d", "x"},
      {"empty", ""}};
  for (const auto& [key, text] : texts) {
    const std::string& name = key;
    CAPTURE(name);
    const TokenStream file = both.read(both.write(name, text));
    const TokenStream memory = both.read(TextSource::in_memory(name, text));
    check_same(memory, file);
    CHECK(memory.files().front().name == name);
    CHECK(memory.files().front().digest == sha256(text));
    REQUIRE(memory.warnings().size() == file.warnings().size());
    if (!file.warnings().empty()) {
      CHECK(memory.warnings().front() == both.without_folder(file.warnings().front()));
    }
  }
}

TEST_CASE("a text in memory is refused as its file is") {
  const Both both;
  const auto check = [&](const std::string& name, const std::string& text, std::uint64_t vocabulary,
                         const std::string& expected) {
    const fs::path path = both.write(name, text);
    const std::string of_file = test::error_of([&] { both.read(path, vocabulary); });
    const std::string of_memory =
        test::error_of([&] { both.read(TextSource::in_memory(name, text), vocabulary); });
    CHECK(of_memory == both.without_folder(of_file));
    CHECK(of_memory.find(expected) != std::string::npos);
  };
  check("bad.txt", "ab\n\nc\xff", kVocabulary, "byte 1 is not valid UTF-8");
  check("beyond.txt", "abz", 20, "'beyond.txt': token 2 has id 25");
}

TEST_CASE("more bytes than a file may have are refused unread") {
  const Untouched bytes((std::size_t{8} << 30) + 16);
  const auto* text = static_cast<const char*>(bytes.start);
  const TextSource long_text =
      TextSource::in_memory("long.txt", {text, (std::size_t{1} << 30) + 1});
  CHECK(test::error_of([&] { const TextBytes read(long_text); }) ==
        "corrupt: 'long.txt': expected at most 1073741824 bytes, got 1073741825");
  const auto* ids = static_cast<const std::int64_t*>(bytes.start);
  const auto rows = [&](std::size_t count, std::size_t length) {
    return test::error_of([&] {
      (void)read_rows(IdsSource::in_memory("long", {{ids, count}, length}));
    });
  };
  CHECK(rows((std::size_t{1} << 30) + 2, 2) ==
        "invalid_argument: 'long': tensor 'ids' has 8589934608 bytes, at most 8589934592 are read");
}

TEST_CASE("rows of ids in memory are the file that safetensors writes of them") {
  const Both both;
  const std::vector<std::int64_t> small = {1, 2, 3, 4, 5, 6};
  // safetensors.numpy.save({"ids": np.array([[1, 2, 3], [4, 5, 6]])}), safetensors 0.8.0.
  CHECK(read_rows(IdsSource::in_memory("ids", {small, 3})).source.digest.hex() ==
        "4e04f1650713fd32c015d59946421a21558be3ea54fb0bbf72b9b7b591f781bb");
  std::vector<std::int64_t> ids;
  for (std::int64_t i = 0; i < 240; ++i) ids.push_back(i * 7 % 29);
  for (const std::size_t length : {2, 3, 10, 120, 240}) {  // headers of several lengths
    for (const std::optional<RowPadding>& padding :
         std::vector<std::optional<RowPadding>>{std::nullopt, RowPadding(0), RowPadding(0, true)}) {
      const fs::path path = both.write("ids.safetensors", plain_file(ids, length));
      const TokenStream file = TokenStream::from_ids(path, kVocabulary, padding);
      const TokenStream memory = TokenStream::from_ids(
          IdsSource::in_memory("ids.safetensors", {ids, length}), kVocabulary, padding);
      check_same(memory, file);
      std::vector<std::string> said = file.warnings();
      for (std::string& sentence : said) sentence = both.without_folder(sentence);
      CHECK(memory.warnings() == said);
      CHECK(memory.padding_id() == file.padding_id());
    }
  }
}

TEST_CASE("rows of ids in memory are refused as their file is") {
  const Both both;
  const auto check = [&](const std::vector<std::int64_t>& ids, std::size_t length,
                         const std::string& expected) {
    const fs::path path = both.write("ids", plain_file(ids, length));
    const std::string of_file = test::error_of([&] { TokenStream::from_ids(path, kVocabulary); });
    const std::string of_memory = test::error_of([&] {
      TokenStream::from_ids(IdsSource::in_memory("ids", {ids, length}), kVocabulary);
    });
    CHECK(of_memory == both.without_folder(of_file));
    CHECK(of_memory == expected);
  };
  check({}, 4, "invalid_argument: 'ids': tensor 'ids' has shape [0, 4], no window has a target");
  check({1, 2, 3}, 1,
        "invalid_argument: 'ids': tensor 'ids' has shape [3, 1], no window has a target");
  check({1, 2, 3, -1}, 2,
        "invalid_argument: 'ids': token 3 has id -1, the model's vocabulary has 29 entries");
  check({1, 29, 3, 4}, 2,
        "invalid_argument: 'ids': token 1 has id 29, the model's vocabulary has 29 entries");
  check(
      {1, std::int64_t{1} << 32, 3, 4}, 2,
      "invalid_argument: 'ids': token 1 has id 4294967296, the model's vocabulary has 29 entries");
  // What no file can hold.
  const std::vector<std::int64_t> ids = {1, 2, 3, 4, 5};
  const auto rows = [&](std::size_t length) {
    return test::error_of([&] { (void)read_rows(IdsSource::in_memory("ids", {ids, length})); });
  };
  CHECK(rows(2) == "invalid_argument: 'ids': 5 ids are no whole rows of 2");
  CHECK(rows(6) == "invalid_argument: 'ids': 5 ids are no whole rows of 6");
  CHECK(rows(SIZE_MAX).find("no whole rows") != std::string::npos);
  CHECK(rows(0).find("has shape [0, 0], no window has a target") != std::string::npos);
}

TEST_CASE("memory has a name that a file could have") {
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("/"),
        std::string("a\0b", 3), std::string(256, 'a')}) {
    CAPTURE(name);
    CHECK(test::error_of([&] {
            TextSource::in_memory(name, "abc");
          }).starts_with("invalid_argument: data in memory: name "));
    CHECK(test::error_of([&] {
            IdsSource::in_memory(name, {});
          }).starts_with("invalid_argument: data in memory: name "));
  }
  for (const std::string& name : {std::string("..."), std::string("a b\n"), std::string("\xff"),
                                  std::string(255, 'a'), std::string("a\\b")}) {
    CHECK(TextSource::in_memory(name, "abc").path() == name);
    CHECK(IdsSource::in_memory(name, {}).path() == name);
  }
  CHECK(IdsSource().empty());
  CHECK_FALSE(IdsSource::in_memory("a", {}).empty());
}

}  // namespace organ::train
