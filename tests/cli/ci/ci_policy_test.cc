// SPDX-License-Identifier: Apache-2.0
#include "cli/ci/ci_policy.h"

#include <doctest/doctest.h>

#include <string>

#include "format/base/error.h"

using namespace organ;
using namespace organ::cli;

namespace {

CiPolicy parse(const std::string& fields) {
  return CiPolicy::parse("{\"schema_version\":1" + (fields.empty() ? "" : "," + fields) + "}",
                         "'organ-ci.json'");
}

// The message of the refusal, which is one of a malformed file.
std::string refusal(const std::string& fields) {
  try {
    parse(fields);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::corrupt);
    return error.message();
  }
  return "accepted";
}

bool mentions(const std::string& text, const std::string& words) {
  return text.find("organ-ci.json") != std::string::npos && text.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("CI policy: an empty one is the one that is used without a file") {
  const CiPolicy none, empty = parse("");
  CHECK(none.modes == empty.modes);
  CHECK(empty.mode(CiCheck::structure) == CiMode::required);
  CHECK(empty.mode(CiCheck::policy) == CiMode::required);
  CHECK(empty.mode(CiCheck::license) == CiMode::enforce);
  CHECK(empty.mode(CiCheck::compatibility) == CiMode::enforce);
  CHECK(empty.max_overlap == 0.1);
  CHECK(empty.allow_chosen_weights);
}

TEST_CASE("CI policy: every field is read") {
  const CiPolicy policy = parse(
      R"("checks":{"finite":"warn","license":"required","signature":"off"},)"
      R"("licenses":["MIT"],"recipients":[{"model":"m"},{"model":"n","at":3}],)"
      R"("evaluations":[{"subject":"wrapper","protocol":"P0","max_nll":1.5,"max_perplexity":4,)"
      R"("max_bits_per_byte":0.5,"min_tokens":10,"improves_on":"recipient_untouched",)"
      R"("dataset_digest":"sha256:)" +
      std::string(64, 'a') + R"("}],"memorisation":{"max_overlap":0.25,)" +
      R"("allow_chosen_weights":false})");
  CHECK(policy.mode(CiCheck::finite) == CiMode::warn);
  CHECK(policy.mode(CiCheck::license) == CiMode::required);
  CHECK(policy.mode(CiCheck::signature) == CiMode::off);
  CHECK(policy.licenses == std::vector<std::string>{"MIT"});
  REQUIRE(policy.recipients.size() == 2);
  CHECK(!policy.recipients[0].position);
  CHECK(policy.recipients[1].position == 3);
  REQUIRE(policy.evaluations.size() == 1);
  CHECK(policy.evaluations[0].max_nll == 1.5);
  CHECK(policy.evaluations[0].max_perplexity == 4);
  CHECK(policy.evaluations[0].min_tokens == 10);
  CHECK(policy.evaluations[0].improves_on == "recipient_untouched");
  CHECK(policy.evaluations[0].dataset_digest->hex() == std::string(64, 'a'));
  CHECK(policy.max_overlap == 0.25);
  CHECK(!policy.allow_chosen_weights);
}

TEST_CASE("CI policy: what it does not know or cannot mean is refused by name") {
  CHECK(mentions(refusal(R"("surprise":1)"), "surprise"));
  CHECK(mentions(refusal(R"("checks":{"digest":"warn"})"), "is no check"));
  CHECK(mentions(refusal(R"("checks":{"digests":"maybe"})"), "required"));
  CHECK(mentions(refusal(R"("checks":{"digests":1})"), "digests"));
  CHECK(mentions(refusal(R"("checks":{"structure":"off"})"), "structure"));
  CHECK(mentions(refusal(R"("checks":{"structure":"warn"})"), "structure"));
  CHECK(mentions(refusal(R"("licenses":[])"), "would allow none"));
  CHECK(mentions(refusal(R"("licenses":"mit")"), "licenses"));
  CHECK(mentions(refusal(R"("recipients":[{"at":1}])"), "model"));
  CHECK(mentions(refusal(R"("recipients":[{"model":""}])"), "empty"));
  CHECK(mentions(refusal(R"("recipients":[{"model":"m\u0000"}])"), "NUL"));
  CHECK(mentions(refusal(R"("recipients":[{"model":"m","at":-1}])"), "at"));
  CHECK(mentions(refusal(R"("recipients":[{"model":"m","where":1}])"), "where"));
  CHECK(mentions(refusal(R"("evaluations":[{"subject":"best"}])"), "recipient_untouched"));
  CHECK(mentions(refusal(R"("evaluations":[{"max_nll":-1}])"), "below 0"));
  CHECK(mentions(refusal(R"("evaluations":[{"max_nll":"1"}])"), "max_nll"));
  CHECK(mentions(refusal(R"("evaluations":[{"max_loss":1}])"), "max_loss"));
  CHECK(mentions(refusal(R"("evaluations":[{"dataset_digest":"sha256:1"}])"), "dataset_digest"));
  CHECK(mentions(refusal(R"("memorisation":{"max_overlap":1.5})"), "above 1"));
  CHECK(mentions(refusal(R"("memorisation":{"limit":1})"), "limit"));
  CHECK(mentions(refusal(R"("licenses":["a"],"licenses":["b"])"), "licenses"));
  CHECK_THROWS_AS(CiPolicy::parse(R"({"schema_version":2})", "x"), Error);
  CHECK_THROWS_AS(CiPolicy::parse("{}", "x"), Error);
}

TEST_CASE("CI policy: it has limits") {
  const auto many = [](const std::string& field, const std::string& element, std::size_t count) {
    std::string list;
    for (std::size_t i = 0; i < count; ++i) list += (i == 0 ? "" : ",") + element;
    return "\"" + field + "\":[" + list + "]";
  };
  CHECK(parse(many("recipients", R"({"model":"m"})", kMostRecipients)).recipients.size() ==
        kMostRecipients);
  CHECK(mentions(refusal(many("recipients", R"({"model":"m"})", kMostRecipients + 1)), "64"));
  CHECK(mentions(refusal(many("licenses", "\"mit\"", kMostLicenses + 1)), "256"));
  CHECK(mentions(refusal(many("evaluations", "{}", kMostDemands + 1)), "64"));
  CHECK(refusal(R"("recipients":[{"model":")" + std::string(5000, 'm') + "\"}]") != "accepted");
  CHECK(refusal("\"licenses\":[\"" + std::string(kCiPolicyLimit, 'm') + "\"]") != "accepted");
}
