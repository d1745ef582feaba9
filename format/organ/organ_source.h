// SPDX-License-Identifier: Apache-2.0
// An organ that can be read, wherever it lies: a folder, or blobs of a registry.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "format/base/finding.h"
#include "format/base/handle.h"
#include "format/base/progress.h"
#include "format/manifest/manifest.h"
#include "format/tensor/safetensors.h"

#pragma GCC visibility push(default)

namespace organ::format {

// What a look at every byte of a file found (verify_contents with flat digests): no damage.
struct PassedFile {
  std::vector<Finding> not_finite;  // tensors with such numbers, as FiniteCheck::found
  FileStamp stamp = {};             // of the file, when its last byte had come
};

// Read access to one organ. Implementations are immutable and thread-safe.
class OrganSource {
 public:
  virtual ~OrganSource() = default;

  virtual const Manifest& manifest() const = 0;
  virtual const std::string& manifest_text() const = 0;  // the bytes of organ.json
  // Opens one file of the manifest for reading, its bytes not yet proved: whoever reads it hashes
  // them. `file` is an entry of manifest(). Throws not_found, corrupt (no regular file, a link
  // where none is followed), io.
  virtual UniqueFd open(const FileEntry& file) const = 0;
  // Whether that file may become the registry's own: it was fetched for nobody else, and nobody
  // writes it any more.
  virtual bool may_be_taken(const FileEntry& file) const {
    static_cast<void>(file);
    return false;
  }
  // What was found while it was fetched, part of this object, or null: verify_contents() then takes
  // it for read. Who keeps the file asks whether it is in that state still, or has the digest.
  virtual const PassedFile* passed(const FileEntry& file) const {
    static_cast<void>(file);
    return nullptr;
  }
  // The bytes of every OMS bundle that comes with it (a folder has at most one).
  virtual std::vector<std::string> signature_bundles() const = 0;
  // The bytes of every attestation that comes with it (format/signature/attestation.h); a folder
  // has none.
  virtual std::vector<std::string> attestation_bundles() const { return {}; }
  // The same for whom a part of them is of use: why others could not be read comes into `unread`,
  // with code io where the medium did not give one, else that of its damage.
  virtual std::vector<std::string> readable_signatures(std::vector<Finding>& unread) const {
    static_cast<void>(unread);
    return signature_bundles();
  }
  virtual std::vector<std::string> readable_attestations(std::vector<Finding>& unread) const {
    static_cast<void>(unread);
    return attestation_bundles();
  }
  // Names in the organ's folder that no manifest entry explains (unsigned extras); empty for a
  // registry.
  virtual std::vector<std::string> extra_files() const = 0;
  // What lies in its folder and is no regular file, and that is no part of an organ: findings of
  // verify_contents(). Only of a folder that was opened in spite of them.
  virtual std::vector<Finding> odd_entries() const { return {}; }
  virtual std::string describe() const = 0;  // for messages: the folder or the reference
};

// Sub-folders, symlinks and devices in an organ's folder: whoever uses the organ refuses them, who
// asks what is wrong with it wants to hear of the rest too.
enum class OddEntries { refuse, keep };

// An organ folder (schemas/organ.v1.md). open() reads organ.json and lists the folder; file
// contents are not read before verify_contents.
class OrganFolder final : public OrganSource {
 public:
  // Throws not_found (no such folder, no organ.json), invalid_argument for what is no folder,
  // corrupt (where they are refused a symlink, sub-folder or device among the entries included),
  // unsupported_version, io. What git keeps there (.git, …) is passed over.
  static OrganFolder open(const std::filesystem::path& folder, OddEntries odd = OddEntries::refuse);

  const std::filesystem::path& folder() const { return folder_; }
  const Manifest& manifest() const override { return manifest_; }
  const std::string& manifest_text() const override { return text_; }
  UniqueFd open(const FileEntry& file) const override;
  std::vector<std::string> signature_bundles() const override;
  std::vector<std::string> extra_files() const override;
  std::vector<Finding> odd_entries() const override { return odd_; }
  std::string describe() const override { return folder_.string(); }

 private:
  std::filesystem::path folder_;
  std::string text_;
  Manifest manifest_;
  std::vector<std::string> entries_;  // names in the folder when it was opened
  std::vector<Finding> odd_;
};

// An organ.json by itself: none of the files that it lists can be opened.
class ManifestFile final : public OrganSource {
 public:
  // Throws not_found, corrupt, unsupported_version, io. A link is followed.
  static ManifestFile open(const std::filesystem::path& path);

  const Manifest& manifest() const override { return manifest_; }
  const std::string& manifest_text() const override { return text_; }
  UniqueFd open(const FileEntry& file) const override;
  std::vector<std::string> signature_bundles() const override { return {}; }
  std::vector<std::string> extra_files() const override { return {}; }
  std::string describe() const override { return path_.string(); }

 private:
  std::filesystem::path path_;
  std::string text_;
  Manifest manifest_;
};

struct ContentOptions {
  // Also the flat SHA-256 of every file and the digest of every tensor: that all digests of the
  // manifest agree, not only those that verification needs (publish and sign demand it). Then each
  // file is one chain, and files are hashed side by side.
  bool flat_digests = false;
};

// Reads every byte of the organ once, but of files that passed(), and compares size, header, tensor
// list and digests with the manifest, on all cores. A damaged piece is named with file, tensor and
// offset; one that is missing, cannot be read to its end or becomes shorter meanwhile is a finding
// too, and so is what odd_entries() has. No findings = contents established. Throws cancelled.
std::vector<Finding> verify_contents(const OrganSource& organ, const ContentOptions& options = {},
                                     const Work& work = {});
// What an undamaged organ makes it tell its work.
std::uint64_t verified_size(const Manifest& organ);

}  // namespace organ::format

#pragma GCC visibility pop
