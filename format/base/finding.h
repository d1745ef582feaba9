// SPDX-License-Identifier: Apache-2.0
// A flaw as a value: checks return lists of these and throw nothing.
#pragma once

#include <string>

#include "format/base/error.h"

#pragma GCC visibility push(default)

namespace organ::format {

// What was wrong with one thing. `code` is corrupt, untrusted, not_found or unsupported_version.
struct Finding {
  ErrorCode code = ErrorCode::corrupt;
  std::string subject;  // layer.01.safetensors: tensor 'mlp.up_proj.weight'
  std::string message;  // bytes 4194304..8388607 have digest …, expected …
};

}  // namespace organ::format

#pragma GCC visibility pop
