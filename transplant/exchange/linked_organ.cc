// SPDX-License-Identifier: Apache-2.0
#include "transplant/exchange/linked_organ.h"

#include "format/base/fail.h"
#include "format/base/path_status.h"
#include "format/checkpoint/folder_rules.h"

namespace organ::transplant {

LinkedOrgan LinkedOrgan::open(const std::filesystem::path& folder) {
  LinkedOrgan organ;
  organ.folder_ = real_path(folder);
  organ.text_ =
      format::read_model_file(organ.folder_, format::kManifestFile, format::kManifestLimit);
  organ.manifest_ =
      format::Manifest::parse(organ.text_, escape_text((folder / format::kManifestFile).string()));
  return organ;
}

UniqueFd LinkedOrgan::open(const format::FileEntry& file) const {
  UniqueFd fd = format::open_model_file(folder_, file.path);
  if (fd) return fd;
  const std::string shown = quote((folder_ / file.path).string());
  if (format::leads_away(folder_, file.path)) {
    throw Error(ErrorCode::corrupt, shown + ": is a symlink that leaves the folder and its cache",
                "give --trust-links ROOT, if you trust what lies there");
  }
  throw Error(ErrorCode::not_found, shown + ": is not there",
              "download the whole organ again: the cache holds a part of it");
}

std::vector<std::string> LinkedOrgan::signature_bundles() const {
  if (!is_taken(folder_ / format::kSignatureFile)) return {};
  return {format::read_model_file(folder_, format::kSignatureFile, format::kSignatureLimit)};
}

}  // namespace organ::transplant
