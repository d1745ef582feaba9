// SPDX-License-Identifier: Apache-2.0
// What lies at a path, and changes of names: the questions of std::filesystem, answered with Error.
// Nothing else of organ asks std::filesystem without an error_code (tests/layering.py). All throw
// io when the system does not tell (a folder that may not be entered, a loop of links) and take
// nul-free paths, relative ones against the working folder. Thread-safe.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

#include "format/base/file.h"

namespace organ {

enum class PathStatus { nothing, file, folder, symlink, other };

// A name too long for the file system, or one below a file, names nothing. With Symlinks::follow
// never symlink, and nothing for a link to nothing.
PathStatus path_status(const std::filesystem::path& path, Symlinks symlinks = Symlinks::follow);

bool is_there(const std::filesystem::path& path);  // a link to nothing does not
bool is_taken(const std::filesystem::path& path);  // whatever lies there, such a link too
bool is_folder(const std::filesystem::path& path);
bool is_file(const std::filesystem::path& path);  // a regular one

// Of a regular file; nothing where none lies. Links are not followed.
std::optional<FileStamp> file_stamp(const std::filesystem::path& path);
FileStamp file_stamp(int fd, std::string_view subject);

// Makes a folder and those above it, with durable names; nothing when it is there. Throws also
// not_found.
void create_folders(const std::filesystem::path& folder, Rights rights = Rights::umask);
// Removes a file or an empty folder; nothing when it is not there.
void remove_path(const std::filesystem::path& path);
// rename(2): whatever has the name `to` is replaced. Throws also not_found.
void rename_path(const std::filesystem::path& from, const std::filesystem::path& to);

// Absolute, without links, `.` and `..`. Throws also not_found.
std::filesystem::path real_path(const std::filesystem::path& path);
// Absolute, links as they are.
std::filesystem::path absolute_path(const std::filesystem::path& path);

}  // namespace organ
