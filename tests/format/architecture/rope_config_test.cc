// SPDX-License-Identifier: Apache-2.0
// What config.json says about rotary positions.
#include "format/architecture/architecture.h"

#include <algorithm>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "format/base/json.h"
#include "tests/support/architectures.h"
#include "tests/support/model_configs.h"
#include "tests/support/support.h"

namespace organ::format {
namespace {

using test::architecture_of;
using test::error_of;
using test::model_config;
using test::signature_of;
using test::with;

TEST_CASE("every parameter of llama3 and YaRN scaling changes the signature") {
  const Json base = model_config("SmolLM2-135M");
  const Json llama3 = model_config("Llama-3.1-8B")["rope_scaling"];
  const Json yarn = {
      {"rope_type", "yarn"}, {"factor", 32.0}, {"original_max_position_embeddings", 4096}};
  std::vector<Digest> seen;
  const auto differs = [&](const Json& scaling) {
    CAPTURE(scaling.dump());
    const Digest now = signature_of(with(base, "rope_scaling", scaling));
    CHECK(std::find(seen.begin(), seen.end(), now) == seen.end());
    seen.push_back(now);
  };
  differs(llama3);
  differs(with(llama3, "factor", 9.0));
  differs(with(llama3, "low_freq_factor", 2.0));
  differs(with(llama3, "high_freq_factor", 5.0));
  differs(with(llama3, "original_max_position_embeddings", 4096));
  differs(yarn);
  differs(with(yarn, "factor", 16.0));
  differs(with(yarn, "beta_fast", 31.0));
  differs(with(yarn, "beta_slow", 2.0));
  differs(with(yarn, "truncate", false));
  differs(with(yarn, "attention_factor", 1.5));
  differs(with(with(yarn, "mscale", 0.7), "mscale_all_dim", 0.8));
  differs(with(with(yarn, "mscale", 0.7), "mscale_all_dim", 0.9));
  differs(with(yarn, "original_max_position_embeddings", 2048));
  // A factor of null is how much longer the model's context is; one that is absent is an error.
  const auto longer = [&](const Json& scaling) {
    return signature_of(
        with(with(base, "max_position_embeddings", 4096 * 8), "rope_scaling", scaling));
  };
  CHECK(longer(with(yarn, "factor", nullptr)) == longer(with(yarn, "factor", 8.0)));
  Json without = yarn;
  without.erase("factor");
  CHECK(error_of([&] { longer(without); }).find("factor") != std::string::npos);
  CHECK(error_of([&] { longer(with(llama3, "factor", nullptr)); }).find("factor") !=
        std::string::npos);
  // What transformers does not read by itself makes no difference.
  const auto same = signature_of(with(base, "rope_scaling", yarn));
  CHECK(signature_of(with(base, "rope_scaling", with(yarn, "mscale", 0.7))) == same);
  CHECK(signature_of(with(base, "rope_scaling", with(yarn, "beta_fast", 32))) == same);
  CHECK(signature_of(with(base, "rope_scaling", with(yarn, "truncate", true))) == same);
  // Of an optional key null is false in Python, and no absence.
  CHECK(signature_of(with(base, "rope_scaling", with(yarn, "truncate", nullptr))) ==
        signature_of(with(base, "rope_scaling", with(yarn, "truncate", false))));
}

TEST_CASE("an empty rope_scaling says nothing, empty rope_parameters that there is no scaling") {
  Json oss = model_config("GPT-OSS-20B");
  oss.erase("rope_scaling");
  const Digest untouched = signature_of(oss);
  CHECK(architecture_of(oss).spec().rope_scaling.kind == "yarn");
  CHECK(signature_of(with(oss, "rope_scaling", Json::object())) == untouched);
  oss["rope_parameters"] = Json::object();
  CHECK(architecture_of(oss).spec().rope_scaling.kind == "none");
}

}  // namespace
}  // namespace organ::format
