// SPDX-License-Identifier: Apache-2.0
#include "version.h"

namespace organ {

std::string_view library_version() { return ORGAN_VERSION; }

}  // namespace organ
