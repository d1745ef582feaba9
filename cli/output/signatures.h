// SPDX-License-Identifier: Apache-2.0
// What is said of the signatures of an organ that becomes a folder.
#pragma once

#include <cstddef>

#include "cli/frame/context.h"
#include "format/base/fail.h"

namespace organ::cli {

// A folder has one model.sig: tells of the others that stay behind.
inline void note_left_signatures(const Context& context, std::size_t signatures) {
  if (signatures < 2) return;
  context.note(
      fmt::format("the organ has {} signatures: a folder has room for one, the others are "
                  "left out",
                  signatures));
}

}  // namespace organ::cli
