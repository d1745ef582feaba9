// SPDX-License-Identifier: Apache-2.0
// A new folder of files that came from elsewhere.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"
#include "format/base/handle.h"
#include "format/base/new_folder.h"
#include "format/organ/organ_source.h"

namespace organ::format {

// Appears whole at commit() or not at all. Its files are open to nobody more than what they were
// made of: no_wider_than() comes before the first.
class NewFiles {
 public:
  // Throws already_exists when the name is taken, not_found when its folder is not there, io.
  explicit NewFiles(const std::filesystem::path& folder) : folder_(folder) {}

  // Bits of 0666; the owner may always read and write. Each call takes more away. The folder may be
  // entered by whoever may read its files.
  void no_wider_than(unsigned permissions);
  // What all files of the organ allow: opens each of them. Throws as OrganSource::open.
  void no_wider_than(const OrganSource& organ);
  // A folder inside, of files whose names begin with it; outer ones first. They are made durable
  // when the whole is.
  void add_folder(const std::string& name);
  // A new empty file, to be synced by whoever writes it; open for reading too. Throws io, also when
  // the name was given before.
  UniqueFd create(std::string_view name) const;
  void write(std::string_view name, std::string_view text) const;  // and syncs it
  // Copies a file and proves the copy. Throws corrupt naming `subject` when it is another one;
  // `work` is told of its bytes twice.
  void copy(std::string_view name, int from, const Digest& digest, std::string_view subject,
            const Work& work) const;
  // Makes all durable and gives the folder its name. Throws as NewFolder::commit; without it
  // nothing is left.
  void commit();

 private:
  NewFolder folder_;
  unsigned permissions_ = 0666;
  std::vector<std::filesystem::path> folders_;
};

}  // namespace organ::format
