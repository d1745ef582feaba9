// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "registry/catalog/catalog.h"
#include "registry/catalog/internal/sqlite.h"

namespace organ::registry {

struct Catalog::Impl {
  Database database;
};

}  // namespace organ::registry
