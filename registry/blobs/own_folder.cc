// SPDX-License-Identifier: Apache-2.0
#include "registry/blobs/own_folder.h"

#include "format/base/fail.h"
#include "format/base/path_status.h"

namespace organ::registry {

bool is_own_folder(const std::filesystem::path& folder) {
  const PathStatus status = path_status(folder, Symlinks::refuse);
  if (status == PathStatus::nothing) return false;
  if (status == PathStatus::folder) return true;
  throw Error(ErrorCode::corrupt, quote(folder.string()) + ": not a folder of the registry itself",
              "it was put there by hand; nothing was done");
}

}  // namespace organ::registry
