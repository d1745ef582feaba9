// SPDX-License-Identifier: Apache-2.0
// An evaluation as organ.json has it, for the other documents that have it so.
#pragma once

#include "format/base/json.h"
#include "format/manifest/manifest.h"

namespace organ::format {

// The fields of `evaluations[]` (schemas/organ.v1.schema.json).
Json to_json(const Evaluation& evaluation);

// Adds precision, device, lead_in and chose_weights to a record of the figure, where they are
// known.
void add_conditions(Json& object, const Evaluation& evaluation);

}  // namespace organ::format
