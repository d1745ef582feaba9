// SPDX-License-Identifier: Apache-2.0
// Records as organ.json has them, for the other documents that have them so.
#pragma once

#include <optional>
#include <vector>

#include "format/base/json.h"
#include "format/manifest/manifest.h"

namespace organ::format {

// The fields of `evaluations[]` (schemas/organ.v1.schema.json).
Json to_json(const Evaluation& evaluation);
// `extraction` and `training` there.
Json to_json(const ExtractionRecord& record);
Json to_json(const TrainingRecord& record);

// The fields `evaluations`, `extraction` and `training` of `object`, each checked by itself as in
// organ.json. Throws corrupt.
std::vector<Evaluation> checked_evaluations(const JsonObject& object);
ExtractionRecord checked_extraction(const JsonObject& object);
TrainingRecord checked_training(const JsonObject& object);

// Adds precision, device, lead_in, chose_weights and the fields of the reading to a record of the
// figure, where they are known.
void add_conditions(Json& object, const Evaluation& evaluation);

// document_split, padding_id, draw_seed and first_windows, null for what there is not.
void add_reading(Json& object, const EvaluationReading& reading);
// All of them, or nullopt for a record of before that has none. Throws corrupt when it has some.
std::optional<EvaluationReading> read_reading(const JsonObject& object);

}  // namespace organ::format
