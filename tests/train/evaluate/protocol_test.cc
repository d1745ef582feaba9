// SPDX-License-Identifier: Apache-2.0
#include "train/evaluate/protocol.h"

#include <doctest/doctest.h>

namespace organ::train {

TEST_CASE("every protocol has its name, and only P0 is a figure of the model") {
  for (const char* name : {"P0", "P0w", "P1", "P2", "P3", "P4", "P5", "P6"}) {
    const auto protocol = parse_protocol(name);
    REQUIRE(protocol.has_value());
    CHECK(to_string(*protocol) == name);
    CHECK(is_diagnostic(*protocol) == (std::string(name) != "P0" && std::string(name) != "P0w"));
  }
  CHECK_FALSE(parse_protocol("P7").has_value());
  CHECK_FALSE(parse_protocol("p0").has_value());
  CHECK(watermark(Protocol::p4) ==
        "DIAGNOSTIC P4, NOT THE MODEL'S PERPLEXITY: labels are not shifted: copying the input is "
        "rewarded");
}

TEST_CASE("a label names what decides a figure") {
  const std::string hex = "1a2b3c4d5e6f" + std::string(52, '0');
  const Digest tokenizer = Digest::parse_hex(hex);
  CHECK(protocol_name(Protocol::p0, 512, 512) == "P0");
  CHECK(protocol_name(Protocol::p0, 512, 256) == "P0s");
  const format::EvaluationConditions conditions{
      .precision = "fp32",
      .device = "cpu",
      .lead_in = std::vector<std::uint64_t>{1},
      .reading = format::EvaluationReading{
          .document_split = "file", .padding_id = {}, .draw_seed = 2, .first_windows = {}}};
  CHECK(protocol_label("P0s", 512, 256, tokenizer, conditions) ==
        "ppl[P0s,ctx=512,stride=256,tok=1a2b3c4d5e6f,lead=1,docs=file,seed=2,fp32,cpu]");
  CHECK(protocol_label("P1", 512, 512, std::nullopt, conditions, "fill=0") ==
        "diagnostic[P1,ctx=512,stride=512,fill=0,tok=none,lead=1,docs=file,seed=2,fp32,cpu]");
  CHECK(protocol_label("MLM", 512, 512, std::nullopt, std::nullopt) ==
        "MLM-PPL[ctx=512,stride=512,tok=none]");
}

}  // namespace organ::train
