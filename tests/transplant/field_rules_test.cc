// SPDX-License-Identifier: Apache-2.0
#include "transplant/field_rules.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "format/base/json.h"

namespace organ::transplant {

TEST_CASE("rules over fields: a row each, and one for what no row names") {
  CHECK(field_rule("hidden_size").level == Level::C);
  CHECK(field_rule("stack").level == Level::D);
  CHECK(field_rule("head_dim").level == Level::B);
  CHECK(field_rule("of a later organ").level == Level::B);
  CHECK(field_rule("").field.empty());
  const Json rules = json_of(field_rules());
  CHECK(rules.at("fields").at("norm_placement").at("level") == "C");
  CHECK(rules.at("fields").at("shared_state").at("level") == "D");
  CHECK(!rules.at("fields").contains(""));
  CHECK(rules.at("other").at("level") == "B");
  CHECK(rules.at("other").at("hint") == field_rule("of a later organ").hint);
}

}  // namespace organ::transplant
