// SPDX-License-Identifier: Apache-2.0
#include "registry/oci/export_layout.h"

#include <set>
#include <vector>

#include "format/base/fail.h"
#include "format/base/file_system.h"
#include "format/organ/new_files.h"
#include "registry/oci/oci.h"

namespace organ::registry {
namespace {

constexpr std::string_view kBlobs = "blobs/sha256/";

// Objects by their digest, each once: two files of equal bytes are one blob.
class Blobs {
 public:
  explicit Blobs(format::NewFiles& folder) : folder_(&folder) {
    folder.add_folder("blobs");
    folder.add_folder("blobs/sha256");
  }

  void add(const TextBlob& blob) {
    if (is_new(blob.ref.digest)) folder_->write(name_of(blob.ref.digest), blob.text);
  }

  // `work` is told of twice the file's bytes, whether they are there already or not.
  void add(const format::OrganSource& organ, const format::FileEntry& file, const Work& work) {
    if (!is_new(file.digest)) return work.advance(2 * file.size);
    folder_->copy(name_of(file.digest), organ.open(file).get(), file.digest, organ.describe(),
                  work);
  }

 private:
  bool is_new(const Digest& digest) { return there_.insert(digest.hex()).second; }
  static std::string name_of(const Digest& digest) { return std::string(kBlobs) + digest.hex(); }

  format::NewFiles* folder_;
  std::set<std::string> there_;
};

std::uint64_t files_size(const format::Manifest& organ) {
  std::uint64_t bytes = 0;
  for (const format::FileEntry& file : organ.files) {
    bytes = checked_add(bytes, file.size, "size of all files");
  }
  return bytes;
}

}  // namespace

ExportedLayout export_layout(const format::OrganSource& organ, const std::filesystem::path& out,
                             const LayoutOptions& options, const Work& work) {
  const format::Manifest& manifest = organ.manifest();
  const std::uint64_t bytes = files_size(manifest);
  const VersionTexts texts = version_texts(manifest, organ.manifest_text(), options.identity);
  require_readable(texts);
  std::vector<std::string> bundles = organ.signature_bundles();
  ExportedLayout exported{manifest.name + ":" + manifest.version, texts.manifest.ref.digest,
                          bundles.size()};
  for (std::string& one : organ.attestation_bundles()) bundles.push_back(std::move(one));
  const Work exporting = work.phase("exporting", checked_mul(bytes, 2, "size of all files"));
  format::NewFiles folder(out);
  folder.no_wider_than(organ);
  require_space(place_of(out).parent_path(), bytes);

  Blobs blobs(folder);
  for (const format::FileEntry& file : manifest.files) blobs.add(organ, file, exporting);
  for (const TextBlob* text : {&texts.organ_json, &texts.config, &texts.manifest}) {
    blobs.add(*text);
  }
  std::vector<IndexEntry> index{{texts.manifest.ref, exported.tag}};
  for (const std::string& text : bundles) {
    require_readable("a signature", text.size(), kBundleLimit);
    const TextBlob bundle(text);
    const TextBlob attached = signature_manifest(bundle.ref, texts.manifest.ref);
    for (const TextBlob& blob : {bundle, attached, empty_config()}) blobs.add(blob);
    index.push_back({attached.ref, ""});
  }
  folder.write("oci-layout", kOciLayoutText);
  folder.write("index.json", index_text(index));
  folder.commit();
  return exported;
}

}  // namespace organ::registry
