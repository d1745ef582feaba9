// SPDX-License-Identifier: Apache-2.0
#include "format/manifest/overlap_record.h"

#include <doctest/doctest.h>

namespace organ::format {

TEST_CASE("overlap record: what was written is read, beside other optional fields") {
  Manifest organ;
  organ.extensions = JsonText::parse(R"({"x_note":1})");
  CHECK(!overlap_record(organ));
  record_overlap({13, 0.125, sha256("held out")}, organ);
  const auto record = overlap_record(organ);
  REQUIRE(record);
  CHECK(record->gram_tokens == 13);
  CHECK(record->share == 0.125);
  CHECK(record->dataset_digest == sha256("held out"));
  CHECK(organ.extensions.text().find("x_note") != std::string::npos);
  record_overlap({13, 0, sha256("held out")}, organ);
  CHECK(overlap_record(organ)->share == 0);
}

}  // namespace organ::format
