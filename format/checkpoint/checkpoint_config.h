// SPDX-License-Identifier: Apache-2.0
// Behind a checkpoint: its parsed config.json, what transformers generates a text by, and the same
// folder as opaque layers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/json.h"
#include "format/checkpoint/checkpoint.h"

namespace organ::format {

struct CheckpointConfig {
  // An object; lives as long as the checkpoint.
  static const Json& of(const Checkpoint& checkpoint);

  // The same files as an organ saw them that did not know the maths of their family: opaque layers,
  // the list of modules called `stack`, tensors by the names in the files. Throws incompatible when
  // there is no such list, or its config cannot be signed.
  static Checkpoint as_opaque(const Checkpoint& checkpoint, std::string_view stack);
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
