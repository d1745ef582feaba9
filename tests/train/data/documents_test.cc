// SPDX-License-Identifier: Apache-2.0
#include "train/data/documents.h"

#include <doctest/doctest.h>

#include <string>

namespace organ::train {

TEST_CASE("documents are separated as asked") {
  CHECK(split_documents("a\n\nb", DocumentSplit::file).size() == 1);
  CHECK(split_documents("\n\na\nb\n\n\n\nc\n", DocumentSplit::blank_lines) ==
        std::vector<std::string_view>{"a\nb", "c"});
  CHECK(split_documents("a\n<|endoftext|>\nb<|endoftext|>", DocumentSplit::end_of_text) ==
        std::vector<std::string_view>{"a", "b"});
  CHECK(split_documents("", DocumentSplit::file).empty());
}

TEST_CASE("how lines end decides no document") {
  const std::string text =
      "\n\none\ntwo\n\n\nthree\n<|endoftext|>\nfour\n \nfive\n\nsix\n<|endoftext|>\n\n\n";
  const auto spelled = [](std::string_view lines, std::initializer_list<const char*> ends) {
    std::string out;
    std::size_t line = 0;
    for (const char c : lines) {
      if (c == '\n') {
        out += ends.begin()[line++ % ends.size()];
      } else {
        out += c;
      }
    }
    return out;
  };
  for (const DocumentSplit split : {DocumentSplit::blank_lines, DocumentSplit::end_of_text}) {
    const auto right = split_documents(text, split);
    CHECK(right.size() == (split == DocumentSplit::blank_lines ? 3 : 2));
    for (const auto& ends : std::initializer_list<std::initializer_list<const char*>>{
             {"\r\n"}, {"\r"}, {"\r\n", "\n"}, {"\n", "\r\n", "\r\n"}}) {
      const std::string other = spelled(text, ends);
      const auto found = split_documents(other, split);
      REQUIRE(found.size() == right.size());
      for (std::size_t i = 0; i < right.size(); ++i) {
        // Inside a document they stay as they are.
        std::string plain;
        for (std::size_t at = 0; at < found[i].size(); ++at) {
          if (found[i].substr(at).starts_with("\r\n")) continue;
          plain += found[i][at] == '\r' ? '\n' : found[i][at];
        }
        CHECK(plain == right[i]);
      }
    }
  }
  CHECK(split_documents("a\r\nb", DocumentSplit::blank_lines).size() == 1);
  CHECK(split_documents("a\n\rb", DocumentSplit::blank_lines).size() == 2);
}

TEST_CASE("words are counted as Python splits at white space") {
  CHECK(count_words("one two  three\n\tfour") == 4);
  CHECK(count_words(" one ") == 3);  // an empty word on either side
  CHECK(count_words("") == 1);
  CHECK(count_words("a\u00a0b\u2003c\u3000d\x1c"
                    "e\u200bf") == 5);
}

}  // namespace organ::train
