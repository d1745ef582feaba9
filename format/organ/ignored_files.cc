// SPDX-License-Identifier: Apache-2.0
#include "format/organ/ignored_files.h"

#include <algorithm>

namespace organ::format {

bool is_ignored_by_default(std::string_view name) {
  return std::find(std::begin(kIgnoredFiles), std::end(kIgnoredFiles), name) !=
         std::end(kIgnoredFiles);
}

}  // namespace organ::format
