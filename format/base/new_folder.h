// SPDX-License-Identifier: Apache-2.0
// A folder that appears under its name whole or not at all.
#pragma once

#include <filesystem>

#include "format/base/file.h"

namespace organ {

// Filled under a hidden name beside its own, `.NAME.unfinished.XXXXXXXXXX`, and renamed at the end.
// Without commit() nothing is left. Not thread-safe.
class NewFolder {
 public:
  enum class Over { nothing, empty_folder };  // what may have the name already

  // The folder that will hold it must exist. Throws already_exists, not_found, io.
  explicit NewFolder(const std::filesystem::path& target, Over over = Over::nothing);

  // Where it is filled. Files and folders in it are synced by whoever writes them.
  const std::filesystem::path& path() const { return temporary_.path(); }

  // Sets the permissions, less what the umask takes away, makes the entries of the folder durable
  // and gives it its name. Throws already_exists when somebody took the name meanwhile, io.
  static constexpr unsigned kUsual = 0777;
  void commit(unsigned permissions = kUsual);

 private:
  std::filesystem::path target_;  // absolute, without a trailing slash
  Over over_;
  TempFolder temporary_;
};

}  // namespace organ
