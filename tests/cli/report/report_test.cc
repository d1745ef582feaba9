// SPDX-License-Identifier: Apache-2.0
#include "cli/report/report.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>
#include <utility>

using namespace organ::cli;

namespace {

Report one_case(ReportCase found) {
  return {
      .command = "verify", .cases = {std::move(found)}, .rules = {{"verify/corrupt", "damage"}}};
}

ReportCase damaged(const std::string& artifact, const std::string& subject,
                   const std::string& message) {
  return {.name = artifact,
          .artifact = artifact,
          .outcome = Outcome::failed,
          .findings = {{"verify/corrupt", ReportLevel::error, subject, message}}};
}

nlohmann::json first_result(const Report& report) {
  return nlohmann::json::parse(to_sarif(report)).at("runs").at(0).at("results").at(0);
}

std::string uri_of(const Report& report) {
  return first_result(report)
      .at("locations")
      .at(0)
      .at("physicalLocation")
      .at("artifactLocation")
      .at("uri");
}

}  // namespace

TEST_CASE("report: a URI is relative, and every byte that it may not hold is encoded") {
  CHECK(relative_uri("legal/contracts:1.0.0") == "legal/contracts%3A1.0.0");
  CHECK(relative_uri("./a//b/") == "a/b");
  CHECK(relative_uri(".") == ".");
  CHECK(relative_uri("a b%#?\xff\n") == "a%20b%25%23%3F%FF%0A");
  const auto here = std::filesystem::current_path();
  CHECK(relative_uri((here / "organ").string()) == "organ");
  CHECK(relative_uri((here.parent_path() / "organ").string()) == "../organ");
}

TEST_CASE("report: a finding lies in the file that its subject begins with") {
  CHECK(uri_of(one_case(damaged("o", "layer.01.safetensors: tensor 'x'", "m"))) ==
        "o/layer.01.safetensors");
  CHECK(uri_of(one_case(damaged(".", "model.sig", "m"))) == "model.sig");
  CHECK(uri_of(one_case(damaged("a.b:1.0.0", "a.b:1.0.0", "m"))) == "a.b%3A1.0.0");
  CHECK(uri_of(one_case(damaged("o", "../up.txt: x", "m"))) == "o");
  CHECK(uri_of(one_case(damaged("organ/log", "organ/log", "m"))) == "organ/log");
}

TEST_CASE("report: a fingerprint stays while the figures of a finding change, and is its own") {
  const auto print = [](const nlohmann::json& result) {
    return result.at("partialFingerprints").at("organFinding/v1").get<std::string>();
  };
  Report report = one_case(damaged("o", "layer.01.safetensors", "bytes 0..9 are wrong"));
  const std::string first = print(first_result(report));
  report.cases[0].findings[0].message = "bytes 10..19 are wrong";
  CHECK(print(first_result(report)) == first);
  report.cases[0].findings.push_back(report.cases[0].findings[0]);
  const auto results = nlohmann::json::parse(to_sarif(report)).at("runs").at(0).at("results");
  CHECK(print(results.at(0)) == first);
  CHECK(print(results.at(1)) != first);
  report.cases[0].findings[0].subject = "layer.02.safetensors";
  CHECK(print(first_result(report)) != first);
}

TEST_CASE("report: every result names its rule by place too") {
  Report report = one_case(damaged("o", "a.b", "m"));
  report.cases[0].findings.push_back({"check/hidden_size", ReportLevel::warning, {}, "differs"});
  const auto run = nlohmann::json::parse(to_sarif(report)).at("runs").at(0);
  const auto rules = run.at("tool").at("driver").at("rules");
  REQUIRE(rules.size() == 2);
  CHECK(rules.at(0).at("shortDescription").at("text") == "check: hidden size");
  CHECK(rules.at(1).at("shortDescription").at("text") == "damage");
  for (const auto& result : run.at("results")) {
    CHECK(rules.at(result.at("ruleIndex").get<std::size_t>()).at("id") == result.at("ruleId"));
  }
}

TEST_CASE("report: XML holds only what XML can, and hostile texts stay texts") {
  const std::string hostile =
      std::string("]]>&<\"'\x01\xff\xEF\xBF\xBF\xEF\xBF\xBE\xE2\x80\xAE\n") + std::string(1, '\0');
  const std::string text = to_junit(one_case(damaged(hostile, hostile, hostile)));
  for (const char c : text) CHECK((c == '\n' || static_cast<unsigned char>(c) >= 0x20));
  CHECK(text.find("]]&gt;&amp;&lt;&quot;&apos;\\x01\\xff\\u{ffff}\\u{fffe}\\u{202e}\\x0a\\x00") !=
        std::string::npos);
  CHECK(text.find('\xff') == std::string::npos);
}

TEST_CASE("report: counts, skipped cases and warnings of JUnit") {
  Report report = one_case(damaged("o", "a.b", "first"));
  report.cases[0].findings.push_back({"verify/untrusted", ReportLevel::error, "x", "second"});
  report.cases.push_back({.name = "later", .outcome = Outcome::skipped, .reason = "nobody asked"});
  report.cases.push_back(
      {.name = "good", .findings = {{"verify/not_finite", ReportLevel::warning, "t", "NaN"}}});
  report.cases.push_back({.name = "silent"});
  CHECK(
      to_junit(report) ==
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<testsuites name=\"organ verify\" tests=\"4\" failures=\"1\" errors=\"0\">\n"
      "  <testsuite name=\"organ verify\" tests=\"4\" failures=\"1\" errors=\"0\" skipped=\"1\">\n"
      "    <testcase classname=\"organ.verify\" name=\"o\">\n"
      "      <failure type=\"verify/corrupt\" message=\"a.b: first\">verify/corrupt: a.b: first\n"
      "verify/untrusted: x: second</failure>\n"
      "    </testcase>\n"
      "    <testcase classname=\"organ.verify\" name=\"later\">\n"
      "      <skipped message=\"nobody asked\"/>\n"
      "    </testcase>\n"
      "    <testcase classname=\"organ.verify\" name=\"good\">\n"
      "      <system-out>warning: verify/not_finite: t: NaN</system-out>\n"
      "    </testcase>\n"
      "    <testcase classname=\"organ.verify\" name=\"silent\"/>\n"
      "  </testsuite>\n"
      "</testsuites>");
}
