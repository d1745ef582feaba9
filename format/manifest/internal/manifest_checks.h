// SPDX-License-Identifier: Apache-2.0
// The rules of organ.json that go beyond types: what a manifest says must agree with itself.
#pragma once

#include <string_view>

#include "format/manifest/manifest.h"

namespace organ::format::internal {

// Throws corrupt naming `subject` and the field.
void check_manifest(const Manifest& manifest, std::string_view subject);

// The parts of it that need no other part.
void check_extraction(const ExtractionRecord& record, std::string_view subject);
void check_training(const TrainingRecord& record, std::string_view subject);
void check_evaluation(const Evaluation& evaluation, std::string_view subject);

// The part of it about files[]: names, roles, pieces, tiling, tensors against architecture.layer.
void check_files(const Manifest& manifest, std::string_view subject);

}  // namespace organ::format::internal
