// SPDX-License-Identifier: Apache-2.0
// Making an Architecture from a parsed config.json.
#pragma once

#include <span>
#include <string_view>

#include "format/architecture/architecture.h"
#include "format/base/error.h"
#include "format/base/json.h"

namespace organ::format {

struct ArchitectureReader {
  // Reads both config generations (rope_theta + rope_scaling, or rope_parameters; torch_dtype or
  // dtype). `stack` names one of several stacks of layers, "" takes the family's first. Throws
  // incompatible for an unknown family or stack or a value that changes the function and is not
  // supported, corrupt for values that contradict each other or are out of range.
  static Architecture from_config(const Json& config, std::string_view subject,
                                  std::string_view stack = "");

  // Opaque layers: the only list of modules numbered from 0 without gap among `tensors` (of all
  // shards, any order), or the one called `stack` (model.layers). `reason` says why the maths is
  // not known. Throws incompatible when there is none, or several and no `stack`.
  static Architecture from_tensors(const Json& config, std::string_view subject,
                                   std::span<const TensorInfo* const> tensors,
                                   std::string_view stack, const Error& reason);
};

}  // namespace organ::format
