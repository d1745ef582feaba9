// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "registry/catalog.h"
#include "registry/internal/sqlite.h"

namespace organ::registry {

struct Catalog::Impl {
  Database database;
};

}  // namespace organ::registry
