// SPDX-License-Identifier: Apache-2.0
// Paths as people give them (any bytes but NUL, relative or not, slashes at the end as shells
// complete them, over links), and what file systems do not all have: renames that never replace,
// modes, room. What is missing is done another way or left out, with the same guarantees for a
// crash. Thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace organ {

// The path of a command line: slashes at its end are taken off, nothing else is changed. Throws
// invalid_argument when it is empty.
std::filesystem::path given_path(std::string_view text);

// Where something of this name lies or will lie: absolute, links on the way resolved, the last
// component as it is (it may be a link, or nothing yet). `.` and `..` name the folder they lead to.
// Throws not_found, io when the folder above it is not there.
std::filesystem::path place_of(const std::filesystem::path& path);

// The folder that a name is in: `.` of a name alone.
std::filesystem::path folder_of(const std::filesystem::path& path);

// Which file it is, whatever it is called.
struct FileId {
  std::uint64_t device = 0, inode = 0;
  bool operator==(const FileId&) const = default;
};
// Throws io.
FileId file_id(int fd, std::string_view subject);
// Of what lies at a path, links followed; nothing where nothing does or the system does not tell.
std::optional<FileId> file_id(const std::filesystem::path& path);

// A folder that exists, without any link in its path; the same path when it does not.
std::filesystem::path without_links(const std::filesystem::path& folder);

// Gives a file or a folder of the same parent its final name, whole or not at all. Throws
// already_exists when the name is taken, io. Where the file system cannot rename without replacing
// (NFS, CephFS, 9p, old ZFS) a file is linked to its name; where it has no links either, the name
// is looked at first, under a lock of the folder that every organ takes.
void rename_to_new(const std::filesystem::path& from, const std::filesystem::path& to);

// The beginning of a name, at most `bytes` long, without half a character of UTF-8 at its end.
std::string beginning_of(std::string_view name, std::size_t bytes);
// The bytes that a name in this folder may have.
std::size_t longest_name(const std::filesystem::path& folder);
// Throws io when the name of `path` is longer than its folder's file system takes: what is prepared
// under a shorter one is told so before, not when it gets its name.
void require_possible_name(const std::filesystem::path& path);

// Whether links can be made under errno `error`, or must be done another way.
bool lacks_links(int error);

// `wanted` as open(2) would give it to a new file: without the bits of the umask.
unsigned permitted(unsigned wanted);
// Gives a new file of ours `wanted`, less what the umask takes away. Where modes cannot be set, or
// do not stick, it stays as it is; only one that is wanted private (no bit for group or others)
// must be: throws io. What a umask takes away besides is a wish.
void set_permissions(int fd, unsigned wanted, std::string_view subject);
// Whether a folder is one that its group shares: it hands its group on (set-group-id), the group
// may make files in it and, without a sticky bit, take away those of others. False where nothing
// is.
bool is_shared_folder(const std::filesystem::path& folder);
// The same for a new file or folder of ours in `folder`, which is part of what others use: whatever
// the umask, a shared one says what group and others may, at most `wanted`, and any other who
// reads: group and others as they may list it.
void set_permissions_in(const std::filesystem::path& folder, int fd, unsigned wanted,
                        std::string_view subject);
// The same whatever the umask, for what takes the place of a file that has these permissions.
void set_exact_permissions(int fd, unsigned permissions, std::string_view subject);
// fchmod; false where the file then has other permissions. Throws io for other reasons.
bool change_permissions(int fd, unsigned permissions, std::string_view subject);

// What a new file of this process may have (0 to 0777) to be open to nobody more than an open file,
// or what lies at a path (links are followed). That is its permission bits, but: where its group is
// not the process's, the group gets what everybody has; where it has an access list, group and
// others get what nobody named there lacks (the group's bits are then the list's mask).
unsigned permissions_of(int fd, std::string_view subject);
unsigned permissions_of(const std::filesystem::path& path);
// The same of the open file `like`, for an open new file of ours: where that took another group or
// an access list from the folder around it, its group gets what everybody has.
unsigned permissions_like(int made, int like, std::string_view subject);
// Takes from an open new folder of ours what these lack.
void narrow_folder(int fd, unsigned permissions, std::string_view subject);

// Throws io, naming both numbers, unless `bytes` fit into the file system of `folder`; passes
// where it does not tell how much is free.
void require_space(const std::filesystem::path& folder, std::uint64_t bytes);

// What copies of files take of a folder's room: nothing where the file system lets them share their
// bytes (reflink). Tried once for each file system that they come from. Not thread-safe.
class RoomForCopies {
 public:
  explicit RoomForCopies(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Whether a copy of an open file shares its bytes. Throws io.
  bool shares(int fd);
  // The bytes that a copy of it writes.
  std::uint64_t of(int fd, std::string_view subject);

 private:
  std::filesystem::path folder_;
  std::map<std::uint64_t, bool> shares_;  // by the device of the source
};

}  // namespace organ
