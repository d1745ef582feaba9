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
// Makes a new file of ours like that: owner, attributes and mode, in this order; without an access
// list where that has none. Throws io when the owner cannot be given (that takes root, or being the
// owner).
void make_like(int fd, const FileMetadata& metadata, std::string_view subject);
// Gives a file that was made like the present one its attributes `user.*`, mode and time of before,
// as a receipt tells them, which may be anybody's: no bit of the mode that the file does not have
// now, never another owner or access list than its own. The folder may have moved to another user
// or a file system without attributes since. Returns what was not given back, in words.
std::vector<std::string> give_back(int fd, const FileMetadata& metadata, std::string_view subject);

}  // namespace organ::transplant
