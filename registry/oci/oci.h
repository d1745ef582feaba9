// SPDX-License-Identifier: Apache-2.0
// The OCI face of a registry: image manifests that are ModelPack artifacts, signature manifests
// with a subject, index.json (OCI image-spec 1.1.1, ModelPack v1). Only texts and values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/manifest/manifest.h"
#include "registry/catalog/catalog.h"
#include "registry/log/log_entry.h"

namespace organ::registry {

inline constexpr std::string_view kOciLayoutText = "{\"imageLayoutVersion\":\"1.0.0\"}";
inline constexpr std::uint64_t kOciManifestLimit = std::uint64_t{4} << 20;
inline constexpr std::uint64_t kBundleLimit = format::kSignatureLimit;

// Media types of manifests, and the artifact type of those that attach a Sigstore bundle.
inline constexpr char kManifestType[] = "application/vnd.oci.image.manifest.v1+json";
inline constexpr char kIndexType[] = "application/vnd.oci.image.index.v1+json";
inline constexpr char kBundleType[] = "application/vnd.dev.sigstore.bundle.v0.3+json";

// A text that becomes a blob.
struct TextBlob {
  std::string text;
  BlobRef ref;
  explicit TextBlob(std::string content);
};

// The manifest of a version. Equal organs give equal bytes: no clock, no machine in it.
struct VersionManifest {
  BlobRef organ;               // organ.json
  BlobRef config;              // ModelPack config
  std::vector<BlobRef> files;  // in the order of Manifest::files
};

// What config.modelfs.diffIds lists: every layer, as ModelPack demands; or, as versions of before
// have it, every layer but organ.json.
enum class DiffIds { every_layer, files_only };
TextBlob model_config(const format::Manifest& organ, const BlobRef& organ_json,
                      DiffIds listed = DiffIds::every_layer);
TextBlob version_manifest(const format::Manifest& organ, const BlobRef& organ_json,
                          const BlobRef& config);

// All texts that become blobs of a version.
struct VersionTexts {
  TextBlob organ_json;
  TextBlob config;
  TextBlob manifest;
};
// As versions are written now, unless writing it as before gives the identity `wanted`: the same
// content keeps the identity that it was published under.
VersionTexts version_texts(const format::Manifest& organ, const std::string& organ_text,
                           const std::optional<Digest>& wanted = {});

// The digests of the manifest that the organ has in a registry: of today's, and of those that
// versions of before have.
std::vector<Digest> identities(const format::Manifest& organ, const std::string& organ_text);

// Nothing is written that no reader would take: throws invalid_argument for what has more bytes.
void require_readable(std::string_view what, std::uint64_t bytes, std::uint64_t limit);
void require_readable(const VersionTexts& texts);

// Reads a version manifest written by any organ; throws corrupt. Whether it agrees with organ.json
// is decided by comparing with version_manifest(...) of what was read.
VersionManifest parse_version_manifest(std::string_view text, std::string_view subject);

// The manifest that attaches a Sigstore bundle to a version.
TextBlob signature_manifest(const BlobRef& bundle, const BlobRef& subject);
// Returns the bundle; throws corrupt unless the manifest's subject is `subject`.
BlobRef parse_signature_manifest(std::string_view text, const BlobRef& subject,
                                 std::string_view name);

// The empty config `{}` of signature manifests.
TextBlob empty_config();

// skopeo calls an entry by its tag.
std::string index_text(const std::vector<IndexEntry>& entries);
// A tag of index.json that points elsewhere than the one of the same name in `entries`: a sentence;
// empty when there is none, or the text is no index.
std::string moved_tag(std::string_view text, const std::vector<IndexEntry>& entries);
// Whether `text` is index_text of the first entries of those that `whole` is made of.
bool is_index_beginning(std::string_view text, std::string_view whole);

}  // namespace organ::registry
