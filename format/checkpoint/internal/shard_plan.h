// SPDX-License-Identifier: Apache-2.0
// Which files of a Hugging Face folder hold the weights.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "format/checkpoint/internal/checkpoint_files.h"

namespace organ::format::internal {

struct ShardPlan {
  std::vector<std::string> names;
  std::optional<ShardIndex> index;  // which of them each tensor must be in; absent: there is one
};

// Throws not_found (no weights: a .bin/.pt beside is named, never opened), corrupt.
ShardPlan plan_shards(const ModelFolder& folder);

}  // namespace organ::format::internal
