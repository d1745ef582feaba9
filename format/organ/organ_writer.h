// SPDX-License-Identifier: Apache-2.0
// Making an organ folder.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/finding.h"
#include "format/base/new_folder.h"
#include "format/manifest/manifest.h"
#include "format/tensor/safetensors.h"

namespace organ::format {

// Builds an organ folder (modes as the umask has them), which appears whole at commit() or not at
// all.
class OrganWriter {
 public:
  // Throws already_exists when `folder` exists, not_found when what should hold it does not, io.
  explicit OrganWriter(const std::filesystem::path& folder, const Work& work = {});
  ~OrganWriter();

  // Neither a file nor the folder is open to more people than a file with these permissions (0600
  // to 0666): those of the weights that the organ is made of. Before the first file. Throws io
  // where the file system cannot keep it private.
  void no_wider_than(unsigned permissions);

  // Writes one canonical safetensors file and returns its manifest entry (also kept). Tells its
  // work of each tensor twice: written, and read back for its digest. The reference holds until the
  // next add. Throws cancelled.
  const FileEntry& add_tensors(const std::string& path, FileRole role,
                               std::vector<TensorSource> tensors,
                               const std::map<std::string, std::string>& metadata);
  // README.md, of these bytes. Once.
  const FileEntry& add_card(std::string_view markdown);
  // The tensors written so far that hold NaN or infinity.
  const std::vector<Finding>& not_finite() const { return not_finite_; }
  // Fills manifest.files, writes organ.json, makes all durable and renames the folder into place.
  // Throws invalid_argument when the manifest would not be readable, incompatible when it would be
  // too long, already_exists.
  void commit(Manifest manifest);

 private:
  NewFolder folder_;
  Work work_;
  unsigned permissions_ = 0666;
  std::vector<FileEntry> files_;
  std::vector<Finding> not_finite_;
};

}  // namespace organ::format
