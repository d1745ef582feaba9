// SPDX-License-Identifier: Apache-2.0
#include "transplant/exchange/import_layers.h"

#include <utility>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/file_system.h"
#include "format/base/path_status.h"
#include "format/checkpoint/folder_rules.h"
#include "format/manifest/imported.h"
#include "format/manifest/model_card.h"
#include "format/manifest/reference.h"
#include "format/organ/extraction.h"
#include "format/organ/organ_source.h"
#include "format/organ/organ_writer.h"
#include "format/pickle/torch_file.h"
#include "transplant/exchange/internal/donor_metadata.h"
#include "transplant/exchange/internal/layer_names.h"

namespace organ::transplant {
namespace fs = std::filesystem;
namespace {

using internal::DonorMetadata;
using internal::DonorTensors;

fs::path file_of(const fs::path& source) {
  return is_folder(source) ? source / internal::kDonorLayersFile : source;
}

// What the options say counts; names that do not count from 0, and the metadata, must agree with
// each other.
std::uint64_t first_layer(const ImportOptions& options, const DonorMetadata& metadata,
                          const DonorTensors& tensors) {
  if (options.layers) return options.layers->first;
  if (metadata.first_layer) {
    if (tensors.first == 0 || tensors.first == *metadata.first_layer) return *metadata.first_layer;
    throw Error(ErrorCode::incompatible,
                fmt::format("the names of the tensors begin with layer {}, {} with layer {}",
                            tensors.first, internal::kDonorMetadataFile, *metadata.first_layer),
                "--layers A:B decides");
  }
  if (tensors.first > 0) return tensors.first;
  throw Error(ErrorCode::invalid_argument,
              "neither the names of the tensors nor donor_metadata.json say which layers of the "
              "donor they are",
              "--layers A:B says it: 4:7 are layers 4, 5 and 6, counted from 0");
}

format::LayerRange layers_of(const ImportOptions& options, const DonorMetadata& metadata,
                             const DonorTensors& tensors, const format::Architecture& donor) {
  const std::uint64_t count = tensors.layers.size();
  const std::uint64_t first = first_layer(options, metadata, tensors);
  const auto refuse = [&](const std::string& reason) {
    throw Error(ErrorCode::incompatible,
                fmt::format("the file holds {}: {}", counted(count, "layer"), reason), "");
  };
  if (options.layers && options.layers->count != count) {
    refuse(fmt::format("--layers names {}", options.layers->count));
  }
  if (!options.layers && metadata.layer_count && *metadata.layer_count != count) {
    refuse(fmt::format("{} names {}", internal::kDonorMetadataFile, *metadata.layer_count));
  }
  if (metadata.donor_layer_count && *metadata.donor_layer_count != donor.layer_count()) {
    refuse(fmt::format("they are of a donor of {}, and the model has {}",
                       counted(*metadata.donor_layer_count, "layer"), donor.layer_count()));
  }
  if (first >= donor.layer_count() || count > donor.layer_count() - first) {
    refuse(fmt::format("from layer {} on they leave the model's {}", first, donor.layer_count()));
  }
  return {first, count};
}

// What organ wrote of the architecture, of which the shapes of tensors tell a part.
void require_same_architecture(const DonorMetadata& metadata, const format::Manifest& organ) {
  const auto& stated = metadata.architecture_signature;
  if (!stated || *stated == organ.architecture.signature) return;
  throw Error(ErrorCode::incompatible,
              fmt::format("{} says that the architecture is {}, and that of the model is {}",
                          internal::kDonorMetadataFile, stated->to_string(),
                          organ.architecture.signature.to_string()),
              "--into names the model that the layers were cut from");
}

// Links are followed as in every folder of a model.
void require_inside(const fs::path& folder, std::string_view name) {
  if (!is_folder(folder) || !format::leads_away(real_path(folder), std::string(name))) return;
  throw Error(
      ErrorCode::corrupt,
      quote((folder / name).string()) + ": is a symlink that leaves the folder and its cache",
      "give --trust-links ROOT, if you trust what lies there");
}

std::uint64_t bytes_of(const DonorTensors& tensors) {
  std::uint64_t bytes = 0;
  for (const auto& layer : tensors.layers) {
    for (const auto& [name, tensor] : layer) bytes += tensor->size;
  }
  return bytes;
}

// The texts of the manifest that is to be.
format::Manifest described(const format::Checkpoint& donor, const ImportOptions& options,
                           const DonorMetadata& metadata) {
  format::Manifest manifest;
  const auto either = [](const std::optional<std::string>& one,
                         const std::optional<std::string>& other) { return one ? one : other; };
  manifest.name = either(options.name, metadata.name).value_or("organ");
  format::check_name(manifest.name);
  const std::string version = either(options.version, metadata.version).value_or("0.0.0");
  manifest.version = format::Version::parse(version).to_string();
  manifest.description = either(options.description, metadata.description).value_or("");
  manifest.license = either(options.license, metadata.license);
  manifest.extraction.donor_id =
      either(options.donor_id, metadata.donor).value_or(donor.folder().filename().string());
  manifest.extraction.donor_revision = either(options.donor_revision, metadata.donor_revision);
  return manifest;
}

void take_words(const format::Manifest& words, format::Manifest& manifest) {
  manifest.name = words.name;
  manifest.version = words.version;
  manifest.description = words.description;
  manifest.license = words.license;
  manifest.extraction.donor_id = words.extraction.donor_id;
  manifest.extraction.donor_revision = words.extraction.donor_revision;
  manifest.extensions = words.extensions;
}

}  // namespace

bool holds_donor_layers(const fs::path& path) { return is_file(file_of(path)); }

ImportOutcome import_layers(const format::Checkpoint& donor, const fs::path& source,
                            const fs::path& out, const ImportOptions& options, const Work& work) {
  const fs::path path = file_of(source);
  if (is_folder(source)) require_inside(source, internal::kDonorLayersFile);
  require_inside(path.has_parent_path() ? path.parent_path() : fs::path("."),
                 internal::kDonorMetadataFile);
  const auto file = format::TorchFile::open(path);
  const DonorMetadata metadata = internal::read_donor_metadata(path.parent_path());
  const DonorTensors tensors = internal::sort_tensors(file, donor.architecture());
  const format::LayerRange layers = layers_of(options, metadata, tensors, donor.architecture());
  internal::check_tensors(tensors, donor.architecture(), layers, path.string());
  format::Manifest words = described(donor, options, metadata);
  format::ImportRecord record{escape_text(path.filename().string()), Digest(), metadata.digest};
  format::record_import(record, words);
  format::require_manifest_fits(donor, layers, words);
  auto shared = format::shared_sources(donor);
  const std::uint64_t bytes = bytes_of(tensors) + format::total_size(shared);
  // The file is read for its checksums and for its digest, the donor's layers for theirs; what is
  // written is read back.
  const Work importing =
      work.phase("importing", file.checked_size() + file_size(file.fd(), file.subject()) +
                                  format::layers_size(donor, layers) + 2 * bytes);
  format::OrganWriter writer(out, importing);
  unsigned permissions = permissions_of(file.fd(), file.subject()) & 0666;
  if (!shared.empty()) permissions &= donor.permissions();
  writer.no_wider_than(permissions | 0600);
  require_space(place_of(out).parent_path(), bytes);
  file.check(importing);
  record.digest = hash_file_flat(file.fd(), file.subject(), importing);
  format::record_import(record, words);
  format::Manifest manifest = format::draft_manifest(donor, layers, "", importing);
  require_same_architecture(metadata, manifest);
  take_words(words, manifest);
  for (std::uint64_t i = 0; i < layers.count; ++i) {
    std::vector<format::TensorSource> sources;
    for (const auto& [name, tensor] : tensors.layers[i]) {
      sources.push_back(file.source(*tensor, name));
    }
    writer.add_tensors(format::Manifest::layer_file_name(i), format::FileRole::layer,
                       std::move(sources), {{"format", "pt"}, {"organ.layer", std::to_string(i)}});
  }
  if (!shared.empty()) {
    writer.add_tensors(std::string(format::kSharedFile), format::FileRole::shared,
                       std::move(shared), {{"format", "pt"}});
  }
  if (options.finite != nullptr) {
    options.finite->found = writer.not_finite();
    format::require_finite(*options.finite, path.string());
  }
  writer.add_card(format::model_card(manifest));
  writer.commit(std::move(manifest));
  return {format::OrganFolder::open(out).manifest(), tensors.ready_made};
}

}  // namespace organ::transplant
