// SPDX-License-Identifier: Apache-2.0
#include "registry/oci/stored_organ.h"

#include "format/base/fail.h"
#include "registry/oci/oci.h"

namespace organ::registry {
namespace {

std::string read_limited(const BlobStore& blobs, const BlobRef& ref, std::uint64_t limit,
                         const std::string& subject) {
  if (ref.size > limit) {
    fail(ErrorCode::corrupt, "{}: blob {} has {} bytes, at most {} are allowed", subject,
         ref.digest.to_string(), ref.size, limit);
  }
  try {
    return blobs.read(ref.digest, ref.size);
  } catch (Error& error) {
    error.with_context("reading " + subject);
    throw;
  }
}

void check_files(const VersionManifest& manifest, const format::Manifest& organ,
                 const std::string& subject) {
  bool same = manifest.files.size() == organ.files.size();
  for (std::size_t i = 0; same && i < organ.files.size(); ++i) {
    same = manifest.files[i] == BlobRef{organ.files[i].digest, organ.files[i].size};
  }
  if (!same) {
    fail(ErrorCode::corrupt, "{}: the blobs of its manifest are not the files of its organ.json",
         subject);
  }
}

}  // namespace

StoredVersion load_version(const BlobStore& blobs, const BlobRef& manifest,
                           const std::string& subject) {
  const VersionManifest parsed = parse_version_manifest(
      read_limited(blobs, manifest, kOciManifestLimit, subject), subject + ": manifest");
  return join_version(parsed, read_limited(blobs, parsed.organ, format::kManifestLimit, subject),
                      subject);
}

StoredVersion join_version(const VersionManifest& manifest, std::string organ_text,
                           const std::string& subject) {
  StoredVersion version;
  version.organ_text = std::move(organ_text);
  version.config = manifest.config;
  version.content.organ = format::Manifest::parse(version.organ_text, subject + ": organ.json");
  version.content.organ_json = manifest.organ;
  check_files(manifest, version.content.organ, subject);
  const format::Manifest& organ = version.content.organ;
  if (organ.name + ":" + organ.version != subject) {
    fail(ErrorCode::corrupt, "{}: its organ.json says {}", subject,
         quote(organ.name + ":" + organ.version));
  }
  return version;
}

StoredSignature load_signature(const BlobStore& blobs, const BlobRef& signature,
                               const BlobRef& manifest, const std::string& subject) {
  StoredSignature stored;
  stored.bundle =
      parse_signature_manifest(read_limited(blobs, signature, kOciManifestLimit, subject), manifest,
                               subject + ": signature");
  stored.text = read_limited(blobs, stored.bundle, kBundleLimit, subject);
  return stored;
}

UniqueFd StoredOrgan::open(const format::FileEntry& file) const {
  if (!gone_.empty() && format::holds_weights(file.role)) {
    fail(ErrorCode::untrusted, "{}: {}", description_, gone_);
  }
  return blobs_.open(file.digest, file.size);
}

}  // namespace organ::registry
