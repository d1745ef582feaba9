// SPDX-License-Identifier: Apache-2.0
// What a model's own files say about how its texts are generated.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "format/checkpoint/checkpoint.h"

#pragma GCC visibility push(default)

namespace organ::train {

// As transformers reads them: those of generation_config.json alone where there is one, else those
// of config.json.
struct GenerationSettings {
  std::string file;                    // which of the two
  std::vector<std::int32_t> stop_ids;  // end a text (eos_token_id)
  double repetition_penalty = 1;       // GenerationOptions; 1: none
  // Of the keys that transformers 5.23 heeds, those whose value would have an effect.
  std::vector<std::string> not_applied;  // keys of it that would change the likeliest tokens

  // A sentence that names what is not applied; nullopt: nothing.
  std::optional<std::string> warning() const;
};

// Throws corrupt for a file that is no JSON object, for ids that are none, for a repetition penalty
// that is no number above 0. What the file does not say: no ids, a penalty of 1.
GenerationSettings read_generation_settings(const format::Checkpoint& checkpoint);

}  // namespace organ::train

#pragma GCC visibility pop
