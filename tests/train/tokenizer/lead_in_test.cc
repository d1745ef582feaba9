// SPDX-License-Identifier: Apache-2.0
#include "train/tokenizer/lead_in.h"

#include <doctest/doctest.h>

#include "tests/support/support.h"
#include "tests/train/support/letter_tokenizer.h"
#include "train/tokenizer/tokenizer.h"

namespace organ::train {
namespace {

using Ids = std::vector<std::int32_t>;

Tokenizer tokenizer_with(const std::string& before,
                         const std::string& config = R"({"eos_token": "<|endoftext|>"})") {
  const TempFolder folder = test::scratch();
  const std::string template_text = before.empty() ? "null" : test::letters_before_text(before);
  return Tokenizer::open(test::write_letter_tokenizer(folder.path(), template_text, config));
}

}  // namespace

TEST_CASE("the choices have names") {
  for (const char* name : {"auto", "bos", "none"}) CHECK(to_string(*parse_lead_in(name)) == name);
  CHECK_FALSE(parse_lead_in("eos").has_value());
}

TEST_CASE("auto is what the tokenizer puts before a text, however many ids that are") {
  for (const auto& [letters, ids] :
       {std::pair<std::string, Ids>{"", {}}, std::pair<std::string, Ids>{"y", {24}},
        std::pair<std::string, Ids>{"yz", {24, 25}}}) {
    const Tokenizer tokenizer = tokenizer_with(letters);
    CHECK(lead_in_ids(LeadIn::automatic, tokenizer) == ids);
    CHECK(lead_in_ids(LeadIn::none, tokenizer).empty());
    Ids whole = ids;
    whole.push_back(0);
    CHECK(tokenizer.encode("a", true) == whole);
  }
}

TEST_CASE("bos is the token that the tokenizer calls so, whatever it puts there itself") {
  const Tokenizer named = tokenizer_with("y", R"({"bos_token": "b", "eos_token": "e"})");
  CHECK(lead_in_ids(LeadIn::bos, named) == Ids{1});
  CHECK(test::error_of([] {
          (void)lead_in_ids(LeadIn::bos, tokenizer_with("y"));
        }).find("names no bos_token") != std::string::npos);
}

TEST_CASE("rolling windows need one id before a document: bos, else eos, as lm-eval takes it") {
  const Tokenizer both = tokenizer_with("yz", R"({"bos_token": "b", "eos_token": "e"})");
  CHECK(rolling_lead_in(LeadIn::automatic, both) == Ids{1});
  CHECK(rolling_lead_in(LeadIn::bos, both) == Ids{1});
  const Tokenizer end = tokenizer_with("yz");
  CHECK(rolling_lead_in(LeadIn::automatic, end) == Ids{28});
  const auto refused = [](LeadIn choice, const Tokenizer& tokenizer) {
    return test::error_of([&] { (void)rolling_lead_in(choice, tokenizer); });
  };
  CHECK(refused(LeadIn::bos, end).find("names no bos_token") != std::string::npos);
  CHECK(refused(LeadIn::none, both).starts_with("invalid_argument: --lead-in none"));
  CHECK(refused(LeadIn::automatic, tokenizer_with("", "{}")).find("neither") != std::string::npos);
}

}  // namespace organ::train
