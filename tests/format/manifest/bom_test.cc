// SPDX-License-Identifier: Apache-2.0
// The bill of materials: what it says of licences, data and names that are no plain words.
#include "format/manifest/bom.h"

#include <doctest/doctest.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "format/organ/organ_source.h"
#include "tests/support/support.h"
#include "tests/support/tiny_organ.h"

namespace organ::format {
namespace {

using nlohmann::json;

Manifest full_organ() {
  const TempFolder folder = test::scratch();
  return OrganFolder::open(test::write_tiny_organ(folder.path() / "organ", 1, true)).manifest();
}

json bom_of(const Manifest& organ) { return json::parse(ml_bom(organ, sha256("manifest"))); }

json license_of(const std::string& text) {
  Manifest organ = full_organ();
  organ.license = text;
  return bom_of(organ)["metadata"]["component"].value("licenses", json());
}

}  // namespace

TEST_CASE("bill of materials: a licence is an SPDX identifier only where it is one") {
  CHECK(license_of("Apache-2.0") == json::parse(R"([{"license":{"id":"Apache-2.0"}}])"));
  for (const char* text :
       {"MIT License", "various", "apache-2.0", "MIT OR Apache-2.0", "ours; ask"}) {
    CHECK(license_of(text) ==
          json::parse(R"([{"license":{"name":")" + std::string(text) + R"("}}])"));
  }
  CHECK(license_of("").is_null());
}

TEST_CASE("bill of materials: data of several uses stand there once, and their digest is no hash") {
  Manifest organ = full_organ();
  REQUIRE(organ.training);
  organ.training->data.push_back(organ.training->data.front());
  organ.evaluations.front().dataset_digest = organ.training->data.front().digest;
  const json bom = bom_of(organ);
  const std::string reference = "data:" + organ.training->data.front().digest.to_string();
  std::size_t found = 0;
  for (const json& component : bom["components"]) {
    CHECK_FALSE(component.contains("hashes"));
    found += component["bom-ref"] == reference ? 1 : 0;
  }
  CHECK(found == 1);
  const json& used = bom["metadata"]["component"]["modelCard"]["modelParameters"]["datasets"];
  CHECK(std::ranges::count(used, json{{"ref", reference}}) == 1);
}

TEST_CASE("bill of materials: equal organs give equal bytes, with the time of their making") {
  const Manifest organ = full_organ();
  CHECK(ml_bom(organ, sha256("a")) == ml_bom(organ, sha256("a")));
  CHECK(bom_of(organ)["metadata"]["timestamp"] == organ.created);
}

TEST_CASE("bill of materials: what would fool a terminal is escaped") {
  Manifest organ = full_organ();
  organ.extraction.donor_id = "a\x1b[31mb";
  const std::string text = ml_bom(organ, sha256("manifest"));
  CHECK(text.find("\\u001b") == text.npos);
  CHECK(text.find('\x1b') == text.npos);
}

}  // namespace organ::format
