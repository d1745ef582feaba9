// SPDX-License-Identifier: Apache-2.0
#include "format/base/new_folder.h"

#include <fcntl.h>

#include "format/base/fail.h"
#include "format/base/file_system.h"
#include "format/base/path_status.h"

namespace organ {
namespace fs = std::filesystem;
namespace {

bool is_taken(const fs::path& path, NewFolder::Over over) {
  const PathStatus status = path_status(path, Symlinks::refuse);
  if (status == PathStatus::nothing) return false;
  return over == NewFolder::Over::nothing || status != PathStatus::folder ||
         !list_folder(path).empty();
}

// The name is looked at before anything is made.
fs::path free_name(const fs::path& target, NewFolder::Over over) {
  fs::path path = place_of(target);
  if (!is_taken(path, over)) return path;
  throw Error(ErrorCode::already_exists, fmt::format("{}: already exists", quote(target.string())),
              over == NewFolder::Over::nothing ? "it is written as a new folder"
                                               : "it is made in a new or an empty folder");
}

}  // namespace

NewFolder::NewFolder(const fs::path& target, Over over)
    : target_(free_name(target, over)),
      over_(over),
      temporary_(target_.parent_path(), "." + target_.filename().string() + ".unfinished") {}

void NewFolder::commit(unsigned permissions) {
  if (permissions != kUsual) {
    const UniqueFd fd(::open(path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) fail_errno(target_.string(), "open");
    set_permissions(fd.get(), permitted(permissions), target_.string());
  }
  sync_folder(path());
  if (over_ == Over::nothing) {
    rename_to_new(path(), target_);
  } else {
    rename_over_empty(path(), target_);
  }
  temporary_.release();
  sync_folder(target_.parent_path());
}

}  // namespace organ
