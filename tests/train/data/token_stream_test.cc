// SPDX-License-Identifier: Apache-2.0
#include "train/data/token_stream.h"

#include <doctest/doctest.h>

#include <fmt/core.h>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "tests/support/support.h"
#include "tests/train/support/ids_file.h"
#include "tests/train/support/letter_tokenizer.h"
#include "train/data/source/read_source.h"
#include "train/tokenizer/tokenizer.h"

namespace organ::train {
namespace {

// A scratch folder with the tokenizer of letters, and texts to read with it.
struct Texts {
  std::filesystem::path write(const std::string& name, std::string_view text) const {
    write_file(folder.path() / name, text);
    return folder.path() / name;
  }
  TokenStream load(const std::filesystem::path& file, const TextOptions& options) const {
    return load_all({file}, options);
  }
  TokenStream load_all(const std::vector<TextSource>& files, const TextOptions& options) const {
    return TokenStream::from_texts(files, tokenizer, 29, options);
  }
  TempFolder folder = test::scratch();
  Tokenizer tokenizer = Tokenizer::open(test::write_letter_tokenizer(folder.path()));
};

}  // namespace

TEST_CASE("a document that ends with the end of sequence gets no second one") {
  const Texts texts;
  const TokenStream stream =
      texts.load(texts.write("a.txt", "ab<|endoftext|>\n\ncd\n\n<|endoftext|>\n\ne<|endoftext|>f"),
                 {.split = DocumentSplit::blank_lines, .end_of_sequence = true});
  CHECK(std::vector<std::int32_t>(stream.ids().begin(), stream.ids().end()) ==
        std::vector<std::int32_t>{0, 1, 28, 2, 3, 28, 28, 4, 28, 5, 28});
  CHECK(stream.end_of_sequence() == 28);
}

TEST_CASE("documents that bring their lead-in along are counted") {
  const Texts texts;
  const auto warnings = [&](std::string_view text, std::vector<std::int32_t> lead_in) {
    return texts
        .load(texts.write("a.txt", text),
              {.split = DocumentSplit::blank_lines, .lead_in = std::move(lead_in)})
        .warnings();
  };
  CHECK(warnings("<|endoftext|>ab\n\ncd", {}).empty());
  CHECK(warnings("a<|endoftext|>b\n\ncd", {28}).empty());
  CHECK(
      warnings("xyab\n\nxycd\n\nxz", {23, 24}) ==
      std::vector<std::string>{"2 of 3 documents begin with their lead-in (id 23, 24) already and "
                               "stand behind it twice: take it out of the text"});
  CHECK(warnings("<|endoftext|>ab", {28}) ==
        std::vector<std::string>{
            "1 of 1 document begin with their lead-in (id 28) already and stand behind it twice: "
            "take it out of the text, or put none before it (--lead-in none)"});
}

TEST_CASE("what a file says is that of its whole text, of one document or of several") {
  const Texts texts;
  const std::string_view mark = "\xef\xbb\xbf";
  for (const auto split :
       {DocumentSplit::file, DocumentSplit::blank_lines, DocumentSplit::end_of_text}) {
    // The mark of a document behind an empty line is no mark of the file's.
    for (const std::string& text :
         {std::string("ab \r\ncd\n"), std::string("ab\n\ncd"), std::string("ab"), std::string(),
          "\n" + std::string(mark) + "ab", std::string(mark) + "ab"}) {
      CAPTURE(text);
      const TokenStream stream = texts.load(texts.write("a.txt", text), {.split = split});
      CHECK(stream.files().front().contents == sha256(as_saved_anyhow(text)));
    }
  }
}

TEST_CASE("documents that hold the same text are said to, empty ones aside") {
  const Texts texts;
  const auto warnings = [&](const std::vector<TextSource>& sources) {
    return texts.load_all(sources, {}).warnings();
  };
  const auto a = texts.write("a.txt", "abc"), b = texts.write("b.txt", "abd");
  const auto copy = texts.write("copy.txt", "abc");
  CHECK(warnings({a, b, texts.write("e.txt", ""), texts.write("f.txt", "")}).empty());
  CHECK(
      warnings({a, b, a}) ==
      std::vector<std::string>{fmt::format(
          "1 of 3 documents, 33.3 % of the tokens, hold what another one holds (document 3 ({0}) "
          "is "
          "document 1 ({0})): that text counts more than once, in figures and their intervals too",
          quote(a.string()))});
  CHECK(warnings({a, copy, b, b})
            .front()
            .starts_with("2 of 4 documents, 50.0 % of the tokens, hold what another one holds "
                         "(document 2 ("));
  // How a file was saved makes no other text; what it says does.
  const auto line = texts.write("l.txt", "ab\ncd");
  for (const char* saved : {"ab\r\ncd\r\n", "ab\rcd", "\n\nab \t\ncd  ",
                            "\xef\xbb\xbf"
                            "ab\ncd"}) {
    CHECK(warnings({line, texts.write("m.txt", saved)}).size() == 1);
  }
  for (const char* other : {"abcd", "ab\n cd", "ab\n\ncd", " ab\ncd"}) {
    CHECK(warnings({line, texts.write("m.txt", other)}).empty());
  }
  CHECK(warnings({line, texts.write("x.txt", " \n"), texts.write("y.txt", "\n")}).empty());
}

TEST_CASE("documents of one file and rows of ids too, unless they are few beside the rest") {
  const Texts texts;
  const auto stream =
      texts.load(texts.write("a.txt", "abc\n\nabd\n\nabc"), {.split = DocumentSplit::blank_lines});
  REQUIRE(stream.warnings().size() == 1);
  CHECK(stream.warnings()[0].starts_with("1 of 3 documents, 33.3 % of the tokens, hold what"));
  std::vector<std::int64_t> ids = {1, 2, 3, 4, 4, 3, 2, 1, 1, 2, 3, 4};
  const auto rows = test::dataset_of(ids, 4, 29, std::nullopt);
  REQUIRE(rows.stream().warnings().size() == 1);
  CHECK(rows.stream().warnings()[0].starts_with("1 of 3 documents, 33.3 % of the tokens"));
  // Of 100 rows one is said, of 101 none.
  const auto warnings = [&](std::int64_t others) {
    for (std::int64_t i = 0; i < others; ++i) {
      for (const std::int64_t id : {i % 29, i / 29, std::int64_t{5}, std::int64_t{6}})
        ids.push_back(id);
    }
    return test::dataset_of(ids, 4, 29, std::nullopt).stream().warnings().size();
  };
  CHECK(warnings(97) == 1);
  ids.insert(ids.end(), {7, 7, 7, 7});
  CHECK(warnings(0) == 0);
}

TEST_CASE("a text that begins with the mark of another form is refused with the way out") {
  using namespace std::string_view_literals;
  const Texts texts;
  for (const auto& [text, form] : {std::pair{"\xff\xfe"
                                             "a\0"sv,
                                             "UTF-16"},
                                   std::pair{"\xfe\xff\0"
                                             "a"sv,
                                             "UTF-16"},
                                   std::pair{"\xff\xfe\0\0"
                                             "a\0\0\0"sv,
                                             "UTF-32"},
                                   std::pair{"\0\0\xfe\xff\0\0\0"
                                             "a"sv,
                                             "UTF-32"}}) {
    try {
      texts.load(texts.write("u.txt", text), {});
      FAIL_CHECK("is taken");
    } catch (const Error& error) {
      CHECK(error.message().ends_with(
          fmt::format("begins with the mark of {}, expected UTF-8", form)));
      CHECK(error.hint() == fmt::format("iconv -f {} -t UTF-8 makes it that", form));
    }
  }
}

TEST_CASE("a text with NUL characters is said to have them") {
  const Texts texts;
  const auto stream = texts.load(texts.write("a.txt", std::string_view("a\0b\0", 4)), {});
  REQUIRE(stream.warnings().size() == 1);
  CHECK(stream.warnings()[0].find("a.txt': has NUL characters") != std::string::npos);
}

TEST_CASE("lines of JSON are text, and said to be") {
  const Texts texts;
  for (const char* name : {"a.jsonl", "b.JSONL", "c.ndjson"}) {
    const TokenStream stream = texts.load(texts.write(name, "abc"), {});
    REQUIRE(stream.warnings().size() == 1);
    CHECK(stream.warnings()[0].find("read as text") != std::string::npos);
  }
  CHECK(texts.load(texts.write("jsonl.txt", "abc"), {}).warnings().empty());
}

TEST_CASE("an end of text that fills up rows too ends each of them once") {
  constexpr std::int32_t kEnd = 28;
  // No end, filled up, its own end alone, one end inside, padding alone, padding before the text.
  const std::vector<std::int64_t> ids = {1,    2,    3,    4,    1,    2,    kEnd, kEnd,
                                         1,    2,    3,    kEnd, kEnd, 1,    2,    kEnd,
                                         kEnd, kEnd, kEnd, kEnd, kEnd, kEnd, 1,    2};
  const auto row_lengths = [&](std::optional<RowPadding> padding) {
    const Dataset data = test::dataset_of(ids, 4, 29, padding);
    const auto starts = data.stream().row_starts();
    std::vector<std::int64_t> lengths;
    for (std::size_t i = 1; i < starts.size(); ++i) lengths.push_back(starts[i] - starts[i - 1]);
    return lengths;
  };
  CHECK(row_lengths(std::nullopt) == std::vector<std::int64_t>(6, 4));
  CHECK(row_lengths(RowPadding(kEnd)) == std::vector<std::int64_t>{4, 2, 3, 3, 0, 4});
  CHECK(row_lengths(RowPadding(kEnd, true)) == std::vector<std::int64_t>{4, 3, 4, 4, 0, 4});
  CHECK(test::dataset_of(ids, 4, 29, RowPadding(kEnd)).stream().warnings().empty());
  const auto warnings = test::dataset_of(ids, 4, 29, RowPadding(kEnd, true)).stream().warnings();
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("--pad-id 28 is an end of text too") == 0);
  CHECK(test::dataset_of(ids, 4, 29, RowPadding(2, true)).stream().warnings().size() == 1);
  CHECK(test::dataset_of(ids, 4, 29, RowPadding(7, true)).stream().warnings().empty());
}

TEST_CASE("words of all documents are counted") {
  const Texts texts;
  const auto stream =
      texts.load(texts.write("a.txt", "ab cd\n\nef g"), {.split = DocumentSplit::blank_lines});
  CHECK(stream.text_words() == 4);
}

}  // namespace organ::train
