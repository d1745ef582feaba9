// SPDX-License-Identifier: Apache-2.0
// The ids that fill up rows where anything does.
#pragma once

#include <cstdint>
#include <vector>

#include "format/checkpoint/checkpoint.h"

namespace organ::train {

// What config.json gives as pad_token_id, eos_token_id (one or several) and unk_token_id.
// In this order, perhaps one twice; what is no id from 0 to 2^31 - 1 is left out, absent ones too.
std::vector<std::int64_t> padding_ids(const format::Checkpoint& checkpoint);

}  // namespace organ::train
