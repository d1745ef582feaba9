// SPDX-License-Identifier: Apache-2.0
// The parsed config.json of a checkpoint.
#pragma once

#include "format/base/json.h"
#include "format/checkpoint/checkpoint.h"

namespace organ::format {

struct CheckpointConfig {
  // An object; lives as long as the checkpoint.
  static const Json& of(const Checkpoint& checkpoint);
};

}  // namespace organ::format
