// SPDX-License-Identifier: Apache-2.0
// Which files of a Hugging Face folder hold the weights.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "format/checkpoint/internal/checkpoint_files.h"

namespace organ::format::internal {

// The order of the names is the order of the shards everywhere: the last that holds a tensor
// counts.
struct ShardPlan {
  // Safe file names, sorted, each once; whether they are there is seen when they are opened.
  std::vector<std::string> names;
  std::optional<ShardIndex> index;  // which of them each tensor must be in; absent: there is one
};

// Where there is an index it decides, else model.safetensors is the only shard. Throws not_found
// (no weights: a .bin/.pt beside is named, never opened), corrupt (the index, of kShardIndexLimit
// at most, as parse_shard_index() says; more than 4096 shards; a model.safetensors beside an index
// that does not name it), io. Opens no shard.
ShardPlan plan_shards(const ModelFolder& folder);

}  // namespace organ::format::internal
