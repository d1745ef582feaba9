// SPDX-License-Identifier: Apache-2.0
#include "format/organ/organ_source.h"

#include <algorithm>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "format/organ/ignored_files.h"

namespace organ::format {
namespace fs = std::filesystem;
namespace {

std::string_view word(PathStatus status) {
  if (status == PathStatus::symlink) return "a symlink";
  return status == PathStatus::folder ? "a folder" : "neither file nor folder";
}

[[noreturn]] void refuse_entry(const fs::path& folder, const std::string& name, PathStatus status) {
  throw Error(
      ErrorCode::corrupt,
      fmt::format("{}: entry {} is {}, expected a regular file{}", quote(folder.string()),
                  quote(name), word(status), left_by(name)),
      status == PathStatus::symlink
          ? "an organ folder holds files only: 'organ import FOLDER --out DIR' copies what its "
            "links lead to"
          : "an organ folder is flat and holds files only");
}

// The names in the folder. What is no file goes to `odd`, where that is wanted; model.sig stays a
// name, so that whoever asks for the signature hears of it.
std::vector<std::string> list_entries(const fs::path& folder, OddEntries wanted,
                                      std::vector<Finding>& odd) {
  std::vector<std::string> entries;
  for (std::string& name : list_folder(folder)) {
    if (name != kSignatureFile && is_ignored_by_default(name)) continue;
    const PathStatus status = path_status(folder / name, Symlinks::refuse);
    const bool is_odd = status != PathStatus::file;
    if (is_odd && (wanted == OddEntries::refuse || name == kManifestFile)) {
      refuse_entry(folder, name, status);
    }
    if (is_odd && name != kSignatureFile) {
      odd.push_back({ErrorCode::corrupt, escape_text(name),
                     fmt::format("is {}, expected a regular file: no part of an organ{}",
                                 word(status), left_by(name))});
    } else {
      entries.push_back(std::move(name));
    }
  }
  return entries;
}

}  // namespace

OrganFolder OrganFolder::open(const fs::path& folder, OddEntries odd) {
  if (!is_folder(folder)) {
    if (is_taken(folder)) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("{}: is not a folder", quote(folder.string())),
                  "an organ is a folder with organ.json and its layers");
    }
    fail(ErrorCode::not_found, "{}: no such folder", quote(folder.string()));
  }
  OrganFolder organ;
  organ.folder_ = folder;
  const fs::path path = folder / kManifestFile;
  if (!is_taken(path)) {
    throw Error(
        ErrorCode::not_found,
        fmt::format("{}: no organ.json, so this is no organ folder", quote(folder.string())),
        "organ extract makes one from a checkpoint");
  }
  organ.entries_ = list_entries(folder, odd, organ.odd_);
  organ.text_ = read_file(path, kManifestLimit, Symlinks::refuse);
  organ.manifest_ = Manifest::parse(organ.text_, escape_text(path.string()));
  // Whoever opens a file of the manifest hears what lies in its place.
  std::erase_if(organ.odd_, [&](const Finding& one) {
    return organ.manifest_.find_file(one.subject) != nullptr;
  });
  return organ;
}

UniqueFd OrganFolder::open(const FileEntry& file) const {
  return open_regular(folder_ / file.path, Symlinks::refuse);
}

std::vector<std::string> OrganFolder::signature_bundles() const {
  if (!std::binary_search(entries_.begin(), entries_.end(), kSignatureFile)) return {};
  return {read_file(folder_ / kSignatureFile, kSignatureLimit, Symlinks::refuse)};
}

ManifestFile ManifestFile::open(const fs::path& path) {
  ManifestFile organ;
  organ.path_ = path;
  organ.text_ = read_file(path, kManifestLimit);
  organ.manifest_ = Manifest::parse(organ.text_, escape_text(path.string()));
  return organ;
}

UniqueFd ManifestFile::open(const FileEntry& file) const {
  fail(ErrorCode::not_found, "{}: {} does not come with it", quote(path_.string()), file.path);
}

std::vector<std::string> OrganFolder::extra_files() const {
  std::vector<std::string> extra;
  for (const std::string& name : entries_) {
    const bool known =
        name == kManifestFile || name == kSignatureFile || manifest_.find_file(name) != nullptr;
    if (!known) extra.push_back(name);
  }
  return extra;
}

}  // namespace organ::format
