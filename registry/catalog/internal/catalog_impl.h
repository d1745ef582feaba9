// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>

#include "format/base/error.h"
#include "registry/catalog/catalog.h"
#include "registry/catalog/internal/sqlite.h"

namespace organ::registry {

// What the parts of Catalog share.
struct Catalog::Impl {
  Database database;
  // Device and inode of the file that is open: another one may lie at its path by now. Nothing for
  // a catalog in memory.
  std::optional<std::pair<dev_t, ino_t>> file = {};
};

// What `parse` makes of a text of the catalog. Whoever can write the file could have put anything
// there: what is not legal is corrupt, whatever `parse` calls it. Anything but an Error passes.
template <typename Parse>
auto parse_stored(const Parse& parse) {
  try {
    return parse();
  } catch (const Error& error) {
    throw Error(ErrorCode::corrupt, "catalog: " + error.message(), kRebuildHint);
  }
}

}  // namespace organ::registry
