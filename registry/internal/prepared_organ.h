// SPDX-License-Identifier: Apache-2.0
// What publish() makes of the organ it is given, before anything is written.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "format/manifest/manifest.h"
#include "format/organ/organ_source.h"
#include "format/signature/signing.h"

namespace organ::registry {

// The organ as it will be published: under its new name, with the signatures that will cover it.
// Files come from the source, which it borrows and which outlives it.
class PreparedOrgan final : public format::OrganSource {
 public:
  // `name` and `version` as organ.json will have them. When the source's are others, organ.json is
  // written anew and its bundles are dropped: they cover another text.
  PreparedOrgan(const format::OrganSource& source, const std::string& name,
                const std::string& version)
      : source_(&source),
        manifest_(source.manifest()),
        text_(source.manifest_text()),
        bundles_(source.signature_bundles()),
        attestations_(source.attestation_bundles()) {
    if (manifest_.name == name && manifest_.version == version) return;
    if (!bundles_.empty()) renamed_from_ = manifest_.name + ":" + manifest_.version;
    manifest_.name = name;
    manifest_.version = version;
    text_ = manifest_.to_text();
    bundles_.clear();  // they sign another organ.json
    attestations_.clear();
  }

  // NAME:VERSION that its signature covers, when that is not the new one; empty: it is not signed,
  // or keeps its name.
  const std::string& renamed_from() const { return renamed_from_; }
  // Texts of the bundles that the registry has for this very content already: they count as its
  // own, and are not among the new ones.
  void add_known(std::vector<std::string> signatures, std::vector<std::string> attestations) {
    known_ = std::move(signatures);
    known_attestations_ = std::move(attestations);
  }
  // Adds a bundle over organ.json, as it will be, and all its files. Throws what sign_resources
  // throws.
  void sign(const format::SecretKey& key) {
    std::vector<format::SignedResource> resources{
        {std::string(format::kManifestFile), sha256(text_)}};
    for (const format::FileEntry& file : manifest_.files) {
      resources.push_back({file.path, file.digest});
    }
    const std::string subject = manifest_.name.substr(manifest_.name.rfind('/') + 1);
    bundles_.push_back(
        format::sign_resources(subject + "-" + manifest_.version, std::move(resources), key));
  }

  // As it will be published; all else is the source's.
  const format::Manifest& manifest() const override { return manifest_; }
  const std::string& manifest_text() const override { return text_; }
  UniqueFd open(const format::FileEntry& file) const override { return source_->open(file); }
  bool may_be_taken(const format::FileEntry& file) const override {
    return source_->may_be_taken(file);
  }
  const format::PassedFile* passed(const format::FileEntry& file) const override {
    return source_->passed(file);
  }
  // Those of the registry, then the new ones.
  std::vector<std::string> signature_bundles() const override {
    std::vector<std::string> all = known_;
    for (const std::string& bundle : new_bundles()) all.push_back(bundle);
    return all;
  }
  // What the registry lacks, compared by text, in the order of the source.
  std::vector<std::string> new_bundles() const { return without(known_, bundles_); }
  std::vector<std::string> new_attestations() const {
    return without(known_attestations_, attestations_);
  }
  std::vector<std::string> extra_files() const override { return source_->extra_files(); }
  std::string describe() const override { return source_->describe(); }

 private:
  // Those of `all` that are not among `known`.
  static std::vector<std::string> without(const std::vector<std::string>& known,
                                          const std::vector<std::string>& all) {
    std::vector<std::string> fresh;
    for (const std::string& bundle : all) {
      if (std::ranges::find(known, bundle) == known.end()) fresh.push_back(bundle);
    }
    return fresh;
  }

  const format::OrganSource* source_;  // borrowed for the publish call
  format::Manifest manifest_;
  std::string text_;
  // Texts of bundles: of the source or made by sign(), and those that the registry has.
  std::vector<std::string> bundles_, known_, attestations_, known_attestations_;
  std::string renamed_from_;
};

}  // namespace organ::registry
