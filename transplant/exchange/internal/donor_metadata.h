// SPDX-License-Identifier: Apache-2.0
// donor_metadata.json, the text beside a donor_layers.pt. arXiv 2601.13580 fixes no fields, so the
// spellings that are known are read, and what they say is compared with the tensors
// (schemas/torch.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "format/base/digest.h"
#include "format/manifest/manifest.h"

namespace organ::transplant::internal {

inline constexpr std::string_view kDonorLayersFile = "donor_layers.pt";
inline constexpr std::string_view kDonorMetadataFile = "donor_metadata.json";

// nullopt: the text does not say, or says null. Layers are counted from 0.
struct DonorMetadata {
  std::optional<Digest> digest;  // of the text; none without a file
  std::optional<std::uint64_t> first_layer, layer_count, donor_layer_count;
  std::optional<std::string> donor, donor_revision;
  std::optional<std::string> name, version, description, license;  // what organ wrote
  std::optional<Digest> architecture_signature;                    // that too
};

// A value of another type, or one that two objects in the document have, is passed over. Throws
// corrupt (no JSON object, a number that counts nothing, a field of `organ` of another type, layers
// that do not follow one another, a limit passed), naming `subject`.
DonorMetadata parse_donor_metadata(std::string_view text, const std::string& subject);
// Of the folder; empty without such a file, which has 1 MiB at most. Throws as
// parse_donor_metadata() does, io.
DonorMetadata read_donor_metadata(const std::filesystem::path& folder);

// The text that says the same of an organ. Pretty JSON.
std::string donor_metadata_text(const format::Manifest& organ);

}  // namespace organ::transplant::internal
