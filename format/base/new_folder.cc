// SPDX-License-Identifier: Apache-2.0
#include "format/base/new_folder.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>

#include "format/base/fail.h"
#include "format/base/path_status.h"

namespace organ {
namespace fs = std::filesystem;
namespace {

// "a/b/" and "a/b" name the same folder; its parent must not become itself.
fs::path named(const fs::path& target) {
  const fs::path path = absolute_path(target).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

bool is_taken(const fs::path& path, NewFolder::Over over) {
  const PathStatus status = path_status(path, Symlinks::refuse);
  if (status == PathStatus::nothing) return false;
  return over == NewFolder::Over::nothing || status != PathStatus::folder ||
         !list_folder(path).empty();
}

// The name is looked at before anything is made.
fs::path free_name(const fs::path& target, NewFolder::Over over) {
  fs::path path = named(target);
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

void NewFolder::commit(std::optional<unsigned> permissions) {
  const char* from = path().c_str();
  if (permissions && ::chmod(from, *permissions) != 0) fail_errno(target_.string(), "chmod");
  sync_folder(path());
  // rename(2) replaces an empty folder and refuses one that somebody filled meanwhile.
  const unsigned flags = over_ == Over::nothing ? RENAME_NOREPLACE : 0;
  if (::renameat2(AT_FDCWD, from, AT_FDCWD, target_.c_str(), flags) != 0) {
    if (errno == EEXIST || errno == ENOTEMPTY) {
      fail(ErrorCode::already_exists, "{}: already exists", quote(target_.string()));
    }
    fail_errno(target_.string(), "rename");
  }
  temporary_.release();
  sync_folder(target_.parent_path());
}

}  // namespace organ
