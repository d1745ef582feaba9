// SPDX-License-Identifier: Apache-2.0
// Making an Architecture from a parsed config.json.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

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

  // What `auto_map` names of code that comes with the model and computes its layers
  // ("modeling_x.XModel"), sorted; that of a tokenizer is not among it. `config` is an object.
  // Throws corrupt for an auto_map that is none.
  static std::vector<std::string> own_code(const Json& config, std::string_view subject);
};

}  // namespace organ::format
