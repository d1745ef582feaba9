// SPDX-License-Identifier: Apache-2.0
#include "transplant/extract.h"

#include <map>
#include <utility>

#include "format/base/file_system.h"
#include "format/manifest/model_card.h"
#include "format/manifest/reference.h"
#include "format/organ/extraction.h"
#include "format/organ/organ_source.h"
#include "format/organ/organ_writer.h"

namespace organ::transplant {

format::Manifest extract_organ(const format::Checkpoint& donor, format::LayerRange layers,
                               const std::filesystem::path& out, const ExtractOptions& options,
                               const Work& work) {
  format::Manifest words;
  words.name = options.name;
  words.version = format::Version::parse(options.version).to_string();
  words.description = options.description;
  words.license = options.license;
  words.extraction.donor_id = options.donor_id;
  words.extraction.donor_revision = options.donor_revision;
  format::require_manifest_fits(donor, layers, words);
  auto shared = format::shared_sources(donor);
  // Layers are read for their digests, written and read back, shared state is not read before.
  const Work extracting = work.phase(
      "extracting", 3 * format::layers_size(donor, layers) + 2 * format::total_size(shared));
  format::OrganWriter writer(out, extracting);
  writer.no_wider_than(donor.permissions());
  require_space(place_of(out).parent_path(),
                format::layers_size(donor, layers) + format::total_size(shared));
  format::Manifest manifest = format::draft_manifest(donor, layers, options.donor_id, extracting);
  manifest.name = words.name;
  manifest.version = words.version;
  manifest.description = words.description;
  manifest.license = words.license;
  manifest.extraction.donor_revision = words.extraction.donor_revision;

  for (std::uint64_t i = 0; i < layers.count; ++i) {
    const std::map<std::string, std::string> metadata = {{"format", "pt"},
                                                         {"organ.layer", std::to_string(i)}};
    writer.add_tensors(format::Manifest::layer_file_name(i), format::FileRole::layer,
                       format::layer_sources(donor, layers.first + i), metadata);
  }
  if (!shared.empty()) {
    writer.add_tensors(std::string(format::kSharedFile), format::FileRole::shared,
                       std::move(shared), {{"format", "pt"}});
  }
  if (options.finite != nullptr) {
    options.finite->found = writer.not_finite();
    format::require_finite(*options.finite, donor.folder().string());
  }
  writer.add_card(format::model_card(manifest));
  writer.commit(std::move(manifest));
  return format::OrganFolder::open(out).manifest();
}

}  // namespace organ::transplant
