// SPDX-License-Identifier: Apache-2.0
// A folder that appears under its name whole or not at all.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "format/base/file.h"

namespace organ {

// Filled under a hidden name beside its own, `.NAME.unfinished.XXXXXXXXXX`, and renamed at the end.
// Without commit() nothing is left. Not thread-safe.
class NewFolder {
 public:
  // The folder that will hold it must exist. Throws already_exists, not_found, io.
  explicit NewFolder(const std::filesystem::path& target);

  // The same, and an empty folder may have the name already (`lost+found` of a fresh file system
  // aside): it stays the folder it is, with its mode, owner and group, a mount point too. It is
  // filled in `.unfinished.XXXXXXXXXX` inside it, whose entries get their places in the order of
  // `entries`, the names of all that it will hold: with the last one the folder is whole. What a
  // killed process left before that counts as empty and is removed. Throws also conflict (another
  // process fills it).
  NewFolder(const std::filesystem::path& target, std::vector<std::string> entries);

  // Where it is filled. Files and folders in it are synced by whoever writes them.
  const std::filesystem::path& path() const { return temporary_->path(); }

  // Takes away the permissions that are not among these, at once: before the first file. Throws io
  // when it is to be private (no bit for group or others) and the file system has no modes.
  void no_wider_than(unsigned permissions);

  // Makes the entries of the folder durable and gives it its name. Throws already_exists when
  // somebody took the name meanwhile, io.
  void commit();

 private:
  void begin_beside();
  void commit_inside();

  std::filesystem::path target_;  // absolute, without a trailing slash
  std::vector<std::string> entries_;
  std::optional<FileLock> filling_;  // of a folder inside the target, for as long as it is there
  std::optional<TempFolder> temporary_;
};

}  // namespace organ
