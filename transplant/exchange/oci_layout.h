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

// One artifact of a layout, its index and manifest read; files are read from the folder as they are
// asked for, which has to stay. Immutable once it is open; copies are independent.
class OciLayout {
 public:
  // A descriptor of the manifest: the blob lies at blobs/sha256/HEX and has `size` bytes.
  struct Blob {
    Digest digest;
    std::uint64_t size = 0;
  };

  // Whether the folder says it is one: oci-layout and index.json are there. Neither is read.
  static bool is_one(const std::filesystem::path& folder);

  // The ModelPack artifact that index.json calls `tag`, or the only one where that is empty. Throws
  // not_found (none, or several: those are named, by their tags or, of one tag, also their digests;
  // a blob that is missing), corrupt (a blob of another digest or size, a file name that is a path
  // or stands twice, more than 65,536 manifests, one above 4 MiB, an index above 64 MiB),
  // incompatible (files in tar archives: media types that do not end in `.raw`), io. Manifests
  // under other tags are not read, but for those without a tag and of tags `sha256-…`, where
  // signatures may be.
  static OciLayout open(const std::filesystem::path& folder, std::string_view tag = "");

  // For messages, not yet escaped: the folder, and `:TAG` behind it where the artifact has one.
  const std::string& describe() const { return describe_; }
  // By their names: `org.cncf.model.filepath`, else `org.opencontainers.image.title`.
  const std::map<std::string, Blob, std::less<>>& files() const { return files_; }
  // What holds organ.json is an organ, what holds config.json a model.
  bool holds(std::string_view name) const { return files_.contains(name); }
  // Its size is right, its digest not yet proved. Throws not_found, corrupt (another size, no
  // regular file), io.
  UniqueFd open_blob(const Blob& blob) const;
  // Sigstore bundles of manifests that name the artifact as their subject.
  const format::AttachedBundles& attached() const { return attached_; }

  // The organ, its manifest proved; its files are proved by whoever reads them. Copies the layout's
  // small parts, so it may outlive this object. Throws not_found (no organ.json), corrupt and
  // unsupported_version as Manifest::parse.
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

// Writes the files of the artifact as a new folder, each proved by its digest, with no wider
// permissions than all of its blobs have. Bundles are not among them. Throws as open_blob(),
// corrupt for another digest, already_exists, io, cancelled; nothing is left behind.
void unpack_layout(const OciLayout& layout, const std::filesystem::path& out,
                   const Work& work = {});

}  // namespace organ::transplant

#pragma GCC visibility pop
