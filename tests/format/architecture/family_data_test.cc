// SPDX-License-Identifier: Apache-2.0
#include "format/architecture/family_data.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <set>
#include <string>

#include "format/architecture/architecture.h"
#include "format/base/json.h"

namespace organ::format {

TEST_CASE("families as data: each known one is there, with what its configuration class assumes") {
  const Json data = json_of(family_data());
  std::set<std::string> names;
  for (const Json& family : data.at("families")) {
    names.insert(family.at("model_type").get<std::string>());
    CHECK(!family.at("tensors").empty());
    for (const Json& tensor : family.at("tensors")) CHECK(tensor.size() == 3);
  }
  for (const std::string_view name : known_families()) CHECK(names.count(std::string(name)) == 1);
  CHECK(names.size() == known_families().size());
  const auto family = [&](std::string_view name) {
    for (const Json& one : data.at("families")) {
      if (one.at("model_type") == name) return one;
    }
    return Json();
  };
  CHECK(family("mistral").at("window") == "every_layer");
  CHECK(family("mistral").at("defaults").at("window") == 4096);
  CHECK(family("qwen3").at("defaults").at("head_dim") == 128);
  CHECK(family("gpt2").at("keys").at("hidden_size") == "n_embd");
  CHECK(family("bert").at("norm_placement") == "post");
  CHECK(family("t5").at("stack") == "decoder");
  CHECK(family("t5").at("shared_state") == kSharedTensor);
  CHECK(family("gpt_oss").at("defaults").at("yarn") == true);
  CHECK(data.at("limits").at("width") == 1 << 20);
  CHECK(data.at("harmless").at(0) == Json::array({"quantization_config", "null", "null"}));
}

}  // namespace organ::format
