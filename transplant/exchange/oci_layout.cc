// SPDX-License-Identifier: Apache-2.0
#include "transplant/exchange/oci_layout.h"

#include <algorithm>
#include <optional>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/file_system.h"
#include "format/base/json.h"
#include "format/base/path_status.h"
#include "format/organ/new_files.h"

namespace organ::transplant {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t kDocumentLimit = std::uint64_t{4} << 20;
constexpr std::uint64_t kIndexLimit = std::uint64_t{64} << 20;  // of a registry of many versions
constexpr std::size_t kMostManifests = 65'536;
constexpr std::string_view kManifestType = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kReferrerTag =
    "sha256-";  // tags of signatures begin so, where tools tag
constexpr std::string_view kLayoutFile = "oci-layout", kIndexFile = "index.json";
constexpr std::string_view kModelType = "application/vnd.cncf.model.manifest.v1+json";
constexpr std::string_view kModelConfig = "application/vnd.cncf.model.config.v1+json";
constexpr std::string_view kBundleType = "application/vnd.dev.sigstore.bundle";
constexpr std::string_view kRefName = "org.opencontainers.image.ref.name";
constexpr std::string_view kTitle = "org.opencontainers.image.title";
constexpr std::string_view kFilepath = "org.cncf.model.filepath";

using Blob = OciLayout::Blob;

Json parse(std::string_view text, const std::string& subject) {
  JsonLimits limits;
  limits.bytes = kIndexLimit;
  limits.foreign = true;  // anybody's annotations
  return parse_json(text, limits, subject);
}

Blob blob_of(const JsonObject& descriptor) {
  return {descriptor.digest("digest"), descriptor.unsigned_integer("size")};
}

std::optional<std::string> annotation(const JsonObject& object, std::string_view name) {
  if (object.is_null("annotations")) return std::nullopt;
  return object.object("annotations").optional_string(name);
}

bool is_model(const JsonObject& manifest) {
  if (manifest.optional_string("artifactType") == kModelType) return true;
  return !manifest.is_null("config") &&
         manifest.object("config").optional_string("mediaType") == kModelConfig;
}

// What a manifest of the index is: a model, the signature of a subject, or neither.
struct Found {
  std::uint64_t size = 0;  // of the manifest
  bool is_model = false;
  std::optional<Digest> subject = {};
  std::optional<Blob> bundle = {};
};

Found found_in(const JsonObject& manifest, std::uint64_t size) {
  Found found{.size = size, .is_model = is_model(manifest)};
  const bool is_bundle =
      manifest.optional_string("artifactType").value_or("").starts_with(kBundleType);
  if (found.is_model || !is_bundle || manifest.is_null("subject")) return found;
  const std::vector<JsonObject> layers = manifest.objects("layers");
  if (layers.size() != 1) manifest.fail_field("layers", "must have one element");
  found.subject = blob_of(manifest.object("subject")).digest;
  found.bundle = blob_of(layers.front());
  return found;
}

std::string file_name(const JsonObject& layer) {
  auto name = annotation(layer, kFilepath);
  if (!name) name = annotation(layer, kTitle);
  if (!name) layer.fail_field("annotations", "name no file");
  if (!is_safe_file_name(*name)) {
    layer.fail_field("annotations", fmt::format("{} is not the name of a file", quote(*name)));
  }
  return *name;
}

// The layout's files, for an organ that outlives it.
class LayoutOrgan final : public format::OrganSource {
 public:
  LayoutOrgan(OciLayout layout, std::string text)
      : layout_(std::move(layout)),
        text_(std::move(text)),
        manifest_(
            format::Manifest::parse(text_, escape_text(layout_.describe()) + ": organ.json")) {}

  const format::Manifest& manifest() const override { return manifest_; }
  const std::string& manifest_text() const override { return text_; }
  UniqueFd open(const format::FileEntry& file) const override {
    const auto found = layout_.files().find(file.path);
    if (found == layout_.files().end() || found->second.digest != file.digest) {
      fail(ErrorCode::corrupt, "{}: {}: is not the file that organ.json names",
           quote(layout_.describe()), quote(file.path));
    }
    return layout_.open_blob(found->second);
  }
  std::vector<std::string> signature_bundles() const override {
    return layout_.attached().signatures();
  }
  std::vector<std::string> attestation_bundles() const override {
    return layout_.attached().attestations();
  }
  std::vector<std::string> extra_files() const override { return {}; }
  std::string describe() const override { return layout_.describe(); }

 private:
  OciLayout layout_;
  std::string text_;
  format::Manifest manifest_;
};

}  // namespace

bool OciLayout::is_one(const fs::path& folder) {
  return is_file(folder / kLayoutFile) && is_file(folder / kIndexFile);
}

UniqueFd OciLayout::open_blob(const Blob& blob) const {
  const fs::path path = folder_ / "blobs" / "sha256" / blob.digest.hex();
  if (!is_there(path)) {
    fail(ErrorCode::not_found, "{}: blob {} is missing", quote(folder_.string()),
         blob.digest.to_string());
  }
  UniqueFd fd = open_regular(path);
  if (const auto size = file_size(fd.get(), path.string()); size != blob.size) {
    fail(ErrorCode::corrupt, "{}: has {}, expected {}", quote(path.string()), counted(size, "byte"),
         blob.size);
  }
  return fd;
}

std::string OciLayout::read_blob(const Blob& blob, std::uint64_t limit) const {
  const std::string subject = (folder_ / "blobs" / "sha256" / blob.digest.hex()).string();
  std::string text = read_fd(open_blob(blob).get(), limit, subject);
  if (sha256(text) != blob.digest) {
    fail(ErrorCode::corrupt, "{}: has digest {}", quote(subject), sha256(text).to_string());
  }
  return text;
}

OciLayout OciLayout::open(const fs::path& folder, std::string_view tag) {
  OciLayout layout;
  layout.folder_ = folder;
  layout.read_index(tag);
  return layout;
}

void OciLayout::read_index(std::string_view tag) {
  const std::string subject = (folder_ / kIndexFile).string();
  const Json document = parse(read_file(folder_ / kIndexFile, kIndexLimit), subject);
  std::map<std::pair<std::string, Digest>, Blob> models;  // by tag: said twice, it is one
  std::map<Digest, Found> read;  // each manifest once, however often index.json names it
  for (const JsonObject& entry : JsonObject(document, quote(subject)).objects("manifests")) {
    if (entry.optional_string("mediaType") != kManifestType) continue;
    const std::string name = annotation(entry, kRefName).value_or("");
    if (!tag.empty() && !name.empty() && name != tag && !name.starts_with(kReferrerTag)) continue;
    const Blob blob = blob_of(entry);
    auto at = read.find(blob.digest);
    if (at == read.end()) {
      if (read.size() >= kMostManifests) {
        fail(ErrorCode::corrupt, "{}: names more than {} manifests", quote(subject),
             kMostManifests);
      }
      const std::string shown = blob.digest.to_string();
      const Json text = parse(read_blob(blob, kDocumentLimit), shown);
      at = read.emplace(blob.digest, found_in(JsonObject(text, quote(shown)), blob.size)).first;
    }
    if (at->second.size != blob.size) entry.fail_field("size", "is told in two ways");
    if (at->second.is_model && (tag.empty() || name == tag)) {
      models.emplace(std::pair(name, blob.digest), blob);
    }
  }
  if (models.size() != 1) {
    std::string names;
    for (const auto& [key, blob] : models) {
      names += (names.empty() ? "" : ", ") + quote(key.first);
      if (!tag.empty()) names += " " + key.second.to_string();
    }
    throw Error(
        ErrorCode::not_found,
        fmt::format("{}: holds {} model artifacts{}{}", quote(folder_.string()), models.size(),
                    tag.empty() ? "" : " of that tag", names.empty() ? "" : ": " + names),
        models.empty() ? ""
        : tag.empty()  ? "--tag NAME says which"
                       : "index.json must give a tag to one artifact only");
  }
  const auto& [key, model] = *models.begin();
  describe_ = key.first.empty() ? folder_.string() : folder_.string() + ":" + key.first;
  std::vector<Blob> bundles;
  for (const auto& [digest, found] : read) {
    if (found.bundle && found.subject == model.digest) bundles.push_back(*found.bundle);
  }
  read_bundles(bundles);
  read_manifest(model);
}

// Two manifests may hold one bundle.
void OciLayout::read_bundles(const std::vector<Blob>& bundles) {
  std::map<Digest, std::uint64_t> each;
  for (const Blob& bundle : bundles) each.emplace(bundle.digest, bundle.size);
  for (const auto& [digest, size] : each) {
    if (size > attached_.room()) {
      attached_.leave_out();
    } else {
      attached_.offer(read_blob({digest, size}, format::kSignatureLimit));
    }
  }
}

void OciLayout::read_manifest(const Blob& blob) {
  const std::string name = blob.digest.to_string();
  const Json document = parse(read_blob(blob, kDocumentLimit), name);
  for (const JsonObject& layer : JsonObject(document, quote(name)).objects("layers")) {
    const std::string type = layer.string("mediaType");
    const std::string file = file_name(layer);
    if (!type.ends_with(".raw")) {
      throw Error(
          ErrorCode::incompatible,
          fmt::format("{}: file {} is packed as {}", quote(describe_), quote(file), quote(type)),
          "only raw files are read: pack it anew with its files raw");
    }
    if (!files_.emplace(file, blob_of(layer)).second) {
      fail(ErrorCode::corrupt, "{}: two files are called {}", quote(describe_), quote(file));
    }
  }
}

std::unique_ptr<format::OrganSource> OciLayout::organ() const {
  const auto found = files_.find(format::kManifestFile);
  if (found == files_.end()) {
    fail(ErrorCode::not_found, "{}: holds no organ.json", quote(describe_));
  }
  return std::make_unique<LayoutOrgan>(*this, read_blob(found->second, format::kManifestLimit));
}

void unpack_layout(const OciLayout& layout, const fs::path& out, const Work& work) {
  std::uint64_t bytes = 0;
  for (const auto& [name, blob] : layout.files())
    bytes = checked_add(bytes, blob.size, "size of all files");
  const Work unpacking = work.phase("unpacking", checked_mul(bytes, 2, "size of all files"));
  format::NewFiles folder(out);
  unsigned common = 0666;
  for (const auto& [name, blob] : layout.files()) {
    common &= permissions_of(layout.open_blob(blob).get(), name);
  }
  folder.no_wider_than(common);
  require_space(place_of(out).parent_path(), bytes);
  for (const auto& [name, blob] : layout.files()) {
    folder.copy(name, layout.open_blob(blob).get(), blob.digest, layout.describe(), unpacking);
  }
  folder.commit();
}

}  // namespace organ::transplant
