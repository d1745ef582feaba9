// SPDX-License-Identifier: Apache-2.0
// An organ made of blobs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "format/organ/organ_source.h"
#include "registry/blobs/blob_store.h"
#include "registry/catalog/catalog.h"
#include "registry/oci/oci.h"

namespace organ::registry {

// The small objects of a version, read and proved to belong together: the OCI manifest, organ.json
// and the list of files. Throws corrupt naming `subject` (name:version): missing, damaged, too
// large, files that are others than those of organ.json, a name or version in organ.json that is
// not `subject`; UnreadableBlob; unsupported_version. Files are not looked at.
struct StoredVersion {
  PublishedContent content;
  std::string organ_text;  // organ.json, to the byte
  BlobRef config;          // ModelPack config, as the manifest names it; not read
};
StoredVersion load_version(const BlobStore& blobs, const BlobRef& manifest,
                           const std::string& subject);

// The same of the text of its organ.json and its manifest, which were read already. That the text
// is the one that the manifest names was checked by who read it.
StoredVersion join_version(const VersionManifest& manifest, std::string organ_text,
                           const std::string& subject);

// The Sigstore bundle that a signature manifest attaches to `manifest`.
struct StoredSignature {
  BlobRef bundle;
  std::string text;  // JSON; whose it is and whether it is good is not known yet
};
// Throws corrupt when one of the two is missing, damaged, too large or attached to something else;
// UnreadableBlob.
StoredSignature load_signature(const BlobStore& blobs, const BlobRef& signature,
                               const BlobRef& manifest, const std::string& subject);

// What is attached to a version, as far as it was read.
struct StoredBundles {
  std::vector<std::string> texts;
  // For each that is not among them: the medium did not give it; it is damaged or missing.
  std::vector<UnreadableBlob> unread = {};
  std::vector<format::Finding> damaged = {};

  // For whom a part of them is not enough. Throws UnreadableBlob.
  const std::vector<std::string>& all() const {
    if (!unread.empty()) throw UnreadableBlob(unread.front());
    return texts;
  }
  // For whom it is; why others are not among them comes into `why`.
  const std::vector<std::string>& readable(const std::string& subject,
                                           std::vector<format::Finding>& why) const {
    for (const UnreadableBlob& one : unread) why.push_back(format::Finding::of(subject, one));
    why.insert(why.end(), damaged.begin(), damaged.end());
    return texts;
  }
};

// A published version as a source of its files. Owns all it needs: no registry has to stay open.
class StoredOrgan final : public format::OrganSource {
 public:
  // `gone`: why its weights cannot be opened, as the end of a sentence; empty: they can.
  StoredOrgan(BlobStore blobs, StoredVersion version, StoredBundles signatures,
              StoredBundles attestations, std::string description, std::string gone = {})
      : blobs_(std::move(blobs)),
        version_(std::move(version)),
        signatures_(std::move(signatures)),
        attestations_(std::move(attestations)),
        description_(std::move(description)),
        gone_(std::move(gone)) {}

  const format::Manifest& manifest() const override { return version_.content.organ; }
  const std::string& manifest_text() const override { return version_.organ_text; }
  // Throws untrusted for weights that are gone, and as BlobStore::open; contents are not read.
  UniqueFd open(const format::FileEntry& file) const override;
  // Both throw UnreadableBlob where one of them could not be read: what there is of the others is
  // not what came with it.
  std::vector<std::string> signature_bundles() const override { return signatures_.all(); }
  std::vector<std::string> attestation_bundles() const override { return attestations_.all(); }
  std::vector<std::string> readable_signatures(
      std::vector<format::Finding>& unread) const override {
    return signatures_.readable(std::string(format::kSignatureFile), unread);
  }
  std::vector<std::string> readable_attestations(
      std::vector<format::Finding>& unread) const override {
    return attestations_.readable("attestation", unread);
  }
  std::vector<std::string> extra_files() const override { return {}; }
  std::string describe() const override { return description_; }

 private:
  BlobStore blobs_;
  StoredVersion version_;
  StoredBundles signatures_, attestations_;
  std::string description_;
  std::string gone_;
};

}  // namespace organ::registry
