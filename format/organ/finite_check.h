// SPDX-License-Identifier: Apache-2.0
// Tensors that hold NaN or infinity. Their bytes may well be those that were signed: that is no
// damage, but nothing that runs.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "format/organ/organ_source.h"

#pragma GCC visibility push(default)

namespace organ::format {

// Asked by whoever calls, filled by whoever reads the bytes. It says nothing of types that have no
// such numbers (integers).
struct FiniteCheck {
  bool required = false;       // such a tensor is refused: corrupt, and nothing is written
  std::vector<Finding> found;  // each such tensor once, where its first such number stands
  std::uint64_t read = 0;      // bytes of the files that were looked at to their end
};

// verify_contents() that looks for such numbers while the bytes pass, and lists them.
std::vector<Finding> verify_contents(const OrganSource& organ, const ContentOptions& options,
                                     const Work& work, FiniteCheck& finite);

// Throws the first tensor that was found where finite numbers are required. `subject` names the
// organ.
void require_finite(const FiniteCheck& check, std::string_view subject);

}  // namespace organ::format

#pragma GCC visibility pop
