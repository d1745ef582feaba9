// SPDX-License-Identifier: Apache-2.0
// What a difference in one field of architecture.layer means (schemas/transplant.md), as a table
// that other programs may have too: the page of `organ registry site` judges by these very rows.
#pragma once

#include <string_view>

#include "format/base/json_text.h"
#include "transplant/compatibility.h"

namespace organ::transplant {

// `field` is a key of architecture.layer, or "" in the row for every other one; `level` what a
// difference in it leads to, `hint` what whoever meets it may do. The texts live as long as the
// program.
struct FieldRule {
  std::string_view field;
  Level level;
  std::string_view hint;
};

// The row of a field; what no row names falls under the last one.
const FieldRule& field_rule(std::string_view field);

// {"fields": {FIELD: {"level": "C", "hint": TEXT}}, "other": {…}}. `other` holds for every other
// field, for tensors too.
JsonText field_rules();

}  // namespace organ::transplant
