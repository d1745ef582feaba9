// SPDX-License-Identifier: Apache-2.0
// The parsed config.json of a checkpoint, and what transformers generates a text by.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "format/base/json.h"
#include "format/checkpoint/checkpoint.h"

namespace organ::format {

struct CheckpointConfig {
  // An object; lives as long as the checkpoint.
  static const Json& of(const Checkpoint& checkpoint);
};

// generation_config.json where there is one, else config.json, as in transformers.
struct GenerationConfig {
  // Throws corrupt for a file that is no JSON object, io.
  static GenerationConfig of(const Checkpoint& checkpoint);
  // Of config.json in any case.
  static GenerationConfig of_config(const Checkpoint& checkpoint);

  std::string file;                      // which of the two
  std::shared_ptr<const Json> settings;  // an object; shared, since Json is incomplete here

  // The ids of eos_token_id; none when it names none. Throws corrupt for one that is none.
  std::vector<std::int32_t> stop_ids() const;
};

}  // namespace organ::format
