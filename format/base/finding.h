// SPDX-License-Identifier: Apache-2.0
// A flaw as a value: checks return lists of these and throw nothing.
#pragma once

#include <string>

#include "format/base/error.h"

#pragma GCC visibility push(default)

namespace organ::format {

// What was wrong with one thing. `code` is corrupt, untrusted, not_found, unsupported_version, or
// incompatible (with a lock file); io where something could not be read.
struct Finding {
  ErrorCode code = ErrorCode::corrupt;
  std::string subject;  // layer.01.safetensors: tensor 'mlp.up_proj.weight'
  std::string message;  // bytes 4194304..8388607 have digest …, expected …

  // An error as a finding about `subject`, which its message need not name again: as it is or as
  // messages show it, in quotes or not, nor as the end of a path.
  static Finding of(std::string subject, const Error& error);
};

}  // namespace organ::format

#pragma GCC visibility pop
