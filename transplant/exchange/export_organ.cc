// SPDX-License-Identifier: Apache-2.0
#include "transplant/exchange/export_organ.h"

#include <deque>
#include <string_view>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/file_system.h"
#include "format/organ/new_files.h"
#include "format/pickle/torch_writer.h"
#include "transplant/exchange/internal/donor_metadata.h"

namespace organ::transplant {
namespace fs = std::filesystem;
namespace {

using format::FileEntry;
using format::FileRole;
using format::OrganSource;

std::uint64_t files_size(const format::Manifest& organ) {
  std::uint64_t bytes = 0;
  for (const FileEntry& file : organ.files) bytes += file.size;
  return bytes;
}

// The tensors of one layer by name; borrows the file.
void add_layer(const format::SafetensorsFile& file, std::uint64_t layer,
               std::vector<format::TensorSource>& tensors) {
  for (const std::uint32_t index : file.header().by_name) {
    const format::TensorInfo& stored = file.header().tensors[index];
    format::TensorInfo named = stored;
    named.name = fmt::format("{}.{}", layer, stored.name);
    tensors.push_back(format::file_source(std::move(named), file, stored));
  }
}

}  // namespace

void export_folder(const OrganSource& organ, const std::string& bundle, const fs::path& out,
                   const Work& work) {
  const format::Manifest& manifest = organ.manifest();
  const Work exporting = work.phase("exporting", 2 * files_size(manifest));
  format::NewFiles folder(out);
  folder.no_wider_than(organ);
  require_space(place_of(out).parent_path(), files_size(manifest));
  for (const FileEntry& file : manifest.files) {
    folder.copy(file.path, organ.open(file).get(), file.digest, organ.describe(), exporting);
  }
  folder.write(format::kManifestFile, organ.manifest_text());
  if (!bundle.empty()) folder.write(format::kSignatureFile, bundle);
  folder.commit();
}

std::vector<std::string> export_donor_layers(const OrganSource& organ, const fs::path& out,
                                             const Work& work) {
  const format::Manifest& manifest = organ.manifest();
  std::deque<format::SafetensorsFile> files;  // where they are stays: sources borrow them
  std::vector<format::TensorSource> tensors;
  std::vector<std::string> left_out;
  for (const FileEntry& entry : manifest.files) {
    if (entry.role != FileRole::layer && entry.role != FileRole::card)
      left_out.push_back(entry.path);
  }
  for (std::uint64_t layer = 0; layer < manifest.layer_count(); ++layer) {
    const FileEntry& entry = *manifest.find_file(format::Manifest::layer_file_name(layer));
    files.push_back(format::SafetensorsFile::from_fd(organ.open(entry), entry.path));
    add_layer(files.back(), layer, tensors);
  }
  const std::uint64_t bytes = format::total_size(tensors);
  const Work exporting = work.phase("exporting", format::verified_size(manifest) + bytes);
  format::NewFiles folder(out);
  folder.no_wider_than(organ);
  require_space(place_of(out).parent_path(), bytes);
  for (const format::Finding& finding : format::verify_contents(organ, {}, exporting)) {
    fail(finding.code, "{}: {}", escape_text(finding.subject), finding.message);
  }
  const UniqueFd fd = folder.create(internal::kDonorLayersFile);
  format::write_torch_file(fd.get(), tensors, internal::kDonorLayersFile, exporting);
  sync_fd(fd.get(), internal::kDonorLayersFile);
  folder.write(internal::kDonorMetadataFile, internal::donor_metadata_text(manifest));
  folder.commit();
  return left_out;
}

}  // namespace organ::transplant
