// SPDX-License-Identifier: Apache-2.0
#include "train/probes/padding_ids.h"

#include <nlohmann/json.hpp>

#include "format/checkpoint/checkpoint_config.h"

namespace organ::train {

std::vector<std::int64_t> padding_ids(const format::Checkpoint& checkpoint) {
  const Json& config = format::CheckpointConfig::of(checkpoint);
  std::vector<std::int64_t> ids;
  const auto add = [&](const Json& id) {
    if (id.is_number_unsigned() && id.get<std::uint64_t>() <= INT32_MAX) ids.push_back(id);
  };
  for (const char* name : {"pad_token_id", "eos_token_id", "unk_token_id"}) {
    const auto found = config.find(name);
    if (found == config.end()) continue;
    if (!found->is_array()) add(*found);
    for (const Json& id : found->is_array() ? *found : Json::array()) add(id);
  }
  return ids;
}

}  // namespace organ::train
