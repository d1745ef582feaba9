// SPDX-License-Identifier: Apache-2.0
// An organ in a folder of links, as the cache of a hub keeps it:
// models--OWNER--NAME/snapshots/REVISION.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "format/organ/organ_source.h"

#pragma GCC visibility push(default)

namespace organ::transplant {

// Links are followed as those of model folders are: inside the folder, the cache repository that
// holds it, and below trust_links_below(). Other entries of the folder are not looked at:
// export_folder() makes an organ folder of what organ.json names. Only organ.json is read when it
// is opened, and kept; no file stays open, so links are followed anew at each open().
class LinkedOrgan final : public format::OrganSource {
 public:
  // Throws not_found, corrupt (a link that leads away included), unsupported_version.
  static LinkedOrgan open(const std::filesystem::path& folder);

  const format::Manifest& manifest() const override { return manifest_; }
  const std::string& manifest_text() const override { return text_; }
  // Throws not_found when the cache lacks the file, corrupt for a link that leads away. Size and
  // digest are not looked at.
  UniqueFd open(const format::FileEntry& file) const override;
  // That of model.sig; empty without one. Throws corrupt as open().
  std::vector<std::string> signature_bundles() const override;
  std::vector<std::string> extra_files() const override { return {}; }
  std::string describe() const override { return folder_.string(); }

 private:
  std::filesystem::path folder_;  // without links
  std::string text_;
  format::Manifest manifest_;
};

}  // namespace organ::transplant

#pragma GCC visibility pop
