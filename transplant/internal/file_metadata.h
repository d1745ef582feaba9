// SPDX-License-Identifier: Apache-2.0
// Owner, mode, time and attributes of files: read, and given to others.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "transplant/receipt.h"

namespace organ::transplant {

bool is_kept_attribute(std::string_view name);
// Throws io.
FileMetadata metadata_of(int fd, std::string_view subject);
// Makes a new file of ours like that: owner, attributes and mode, in this order. Throws io when the
// owner cannot be given (that takes root, or being the owner).
void make_like(int fd, const FileMetadata& metadata, std::string_view subject);
// Attributes, mode and time of what a receipt tells, which may be anybody's: a mode no wider than
// the file's own and the umask allow, never another owner. The folder may have moved to another
// user or a file system without attributes since. Returns what was not given back, in words.
std::vector<std::string> give_back(int fd, const FileMetadata& metadata, std::string_view subject);

}  // namespace organ::transplant
