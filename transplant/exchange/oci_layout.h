// SPDX-License-Identifier: Apache-2.0
// A model or an organ in an OCI image layout, packed as a ModelPack artifact (model-spec v1, OCI
// image-spec 1.1): by organ, by modctl or any other tool that keeps files raw.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"
#include "format/base/handle.h"
#include "format/organ/organ_source.h"
#include "format/signature/attached_bundles.h"

#pragma GCC visibility push(default)

namespace organ::transplant {

class OciLayout {
 public:
  struct Blob {
    Digest digest;
    std::uint64_t size = 0;
  };

  // Whether the folder says it is one.
  static bool is_one(const std::filesystem::path& folder);

  // The ModelPack artifact that index.json calls `tag`, or the only one where that is empty. Throws
  // not_found (no artifact, no such tag: those there are named), corrupt (a blob of another digest,
  // a file name that is a path or stands twice, more manifests than the limit),
  // incompatible (files in tar archives), io. Manifests under other tags are not read.
  static OciLayout open(const std::filesystem::path& folder, std::string_view tag = "");

  const std::string& describe() const { return describe_; }
  const std::map<std::string, Blob, std::less<>>& files() const { return files_; }
  // What holds organ.json is an organ, what holds config.json a model.
  bool holds(std::string_view name) const { return files_.contains(name); }
  UniqueFd open_blob(const Blob& blob) const;  // its size is right, its digest not yet proved
  // Sigstore bundles of manifests that name the artifact as their subject.
  const format::AttachedBundles& attached() const { return attached_; }

  // The organ, its manifest proved; its files are proved by whoever reads them. Copies the layout's
  // small parts.
  std::unique_ptr<format::OrganSource> organ() const;

 private:
  std::string read_blob(const Blob& blob, std::uint64_t limit) const;
  void read_index(std::string_view tag);
  void read_bundles(const std::vector<Blob>& bundles);
  void read_manifest(const Blob& manifest);

  std::filesystem::path folder_;
  std::string describe_;
  std::map<std::string, Blob, std::less<>> files_;
  format::AttachedBundles attached_;
};

// Writes the files of the artifact as a new folder, each proved by its digest. Throws as open()
// does, already_exists, cancelled; nothing is left behind.
void unpack_layout(const OciLayout& layout, const std::filesystem::path& out,
                   const Work& work = {});

}  // namespace organ::transplant

#pragma GCC visibility pop
