// SPDX-License-Identifier: Apache-2.0
// A version as an OCI image layout of its own: a ModelPack artifact in a folder, for skopeo, oras
// and whatever else reads layouts (OCI image-spec 1.1.1, ModelPack v1). What a registry holds of
// it, without the registry: no log, no policy.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "format/base/digest.h"
#include "format/base/progress.h"
#include "format/organ/organ_source.h"

#pragma GCC visibility push(default)

namespace organ::registry {

struct LayoutOptions {
  // The manifest that the version was published under; none for an organ that was not.
  std::optional<Digest> identity = {};
};

// What export_layout() wrote.
struct ExportedLayout {
  std::string tag;  // NAME:VERSION, as index.json calls the manifest
  Digest manifest;  // the identity that the organ has, or would have in a registry
  // Sigstore bundles that sign the files, each attached by a manifest with a subject. Attestations
  // are attached too, and not counted.
  std::size_t signatures;
};

// Writes a new folder, which appears whole and has the layout's oci-layout, index.json and
// blobs/sha256. Every file is hashed on its way; two of equal bytes are one blob. Equal organs give
// equal bytes. Throws already_exists, corrupt (a file has not the digest that organ.json names),
// invalid_argument (a text or a signature longer than any reader takes), io, cancelled; nothing is
// left behind.
ExportedLayout export_layout(const format::OrganSource& organ, const std::filesystem::path& out,
                             const LayoutOptions& options = {}, const Work& work = {});

}  // namespace organ::registry

#pragma GCC visibility pop
