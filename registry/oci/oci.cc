// SPDX-License-Identifier: Apache-2.0
#include "registry/oci/oci.h"

#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"

namespace organ::registry {
namespace {

using format::FileEntry;
using format::FileRole;
using format::Manifest;

constexpr char kEmptyType[] = "application/vnd.oci.empty.v1+json";
constexpr char kModelType[] = "application/vnd.cncf.model.manifest.v1+json";
constexpr char kConfigType[] = "application/vnd.cncf.model.config.v1+json";
constexpr char kWeightType[] = "application/vnd.cncf.model.weight.v1.raw";
constexpr char kWeightConfigType[] = "application/vnd.cncf.model.weight.config.v1.raw";
constexpr char kDocType[] = "application/vnd.cncf.model.doc.v1.raw";
constexpr char kTitle[] = "org.opencontainers.image.title";
constexpr char kFilepath[] = "org.cncf.model.filepath";
constexpr char kRefName[] = "org.opencontainers.image.ref.name";

Json descriptor(const char* type, const BlobRef& blob) {
  return {{"mediaType", type}, {"digest", blob.digest.to_string()}, {"size", blob.size}};
}

Json layer(const char* type, const BlobRef& blob, std::string_view path) {
  Json out = descriptor(type, blob);
  out["annotations"] = {{kTitle, path}, {kFilepath, path}};
  return out;
}

BlobRef parse_descriptor(const JsonObject& object, std::string_view type) {
  if (const std::string got = object.string("mediaType"); got != type) {
    object.fail_field("mediaType", fmt::format("is {}, expected {}", quote(got), quote(type)));
  }
  return {object.digest("digest"), object.unsigned_integer("size")};
}

BlobRef ref_of(const FileEntry& file) { return {file.digest, file.size}; }

// Parameters of all tensors and their element types, for people who browse a registry.
std::pair<std::uint64_t, std::string> parameters(const Manifest& organ) {
  std::uint64_t count = 0;
  std::set<std::string> types;
  for (const FileEntry& file : organ.files) {
    for (const format::TensorInfo& tensor : file.tensors) {
      std::uint64_t elements = 1;
      for (const std::uint64_t n : tensor.shape) {
        elements = checked_mul(elements, n, "parameter count");
      }
      count = checked_add(count, elements, "parameter count");
      types.emplace(to_string(tensor.dtype));
    }
  }
  std::string joined;
  for (const std::string& type : types) joined += (joined.empty() ? "" : ",") + type;
  return {count, joined};
}

Json parse_manifest(std::string_view text, std::string_view subject) {
  Json json = parse_json(text, {.bytes = kOciManifestLimit, .depth = 16}, subject);
  const JsonObject object(json, std::string(subject));
  if (object.unsigned_integer("schemaVersion") != 2) {
    object.fail_field("schemaVersion", "is not 2");
  }
  if (object.string("mediaType") != kManifestType) {
    object.fail_field("mediaType", fmt::format("is not {}", quote(kManifestType)));
  }
  return json;
}

void check_artifact_type(const JsonObject& object, std::string_view expected) {
  if (const std::string got = object.string("artifactType"); got != expected) {
    object.fail_field("artifactType",
                      fmt::format("is {}, expected {}", quote(got), quote(expected)));
  }
}

}  // namespace

TextBlob::TextBlob(std::string content) : text(std::move(content)) {
  ref = {sha256(text), text.size()};
}

TextBlob empty_config() { return TextBlob("{}"); }

TextBlob model_config(const Manifest& organ, const BlobRef& organ_json, DiffIds listed) {
  const auto [count, types] = parameters(organ);
  Json diff_ids = Json::array();
  if (listed == DiffIds::every_layer) diff_ids.push_back(organ_json.digest.to_string());
  for (const FileEntry& file : organ.files) diff_ids.push_back(file.digest.to_string());
  Json described = {{"name", organ.name}, {"version", organ.version}, {"createdAt", organ.created}};
  if (!organ.description.empty()) described["description"] = organ.description;
  if (organ.license) described["licenses"] = Json::array({*organ.license});
  const Json config = {
      {"descriptor", described},
      {"config",
       {{"architecture", organ.architecture.model_type},
        {"format", "safetensors"},
        {"paramSize", std::to_string(count)},
        {"precision", types}}},
      {"modelfs", {{"type", "layers"}, {"diffIds", diff_ids}}},
  };
  return TextBlob(canonical_json(config));
}

TextBlob version_manifest(const Manifest& organ, const BlobRef& organ_json, const BlobRef& config) {
  Json layers = Json::array({layer(kWeightConfigType, organ_json, format::kManifestFile)});
  for (const FileEntry& file : organ.files) {
    const char* type = file.role == FileRole::card ? kDocType : kWeightType;
    layers.push_back(layer(type, ref_of(file), file.path));
  }
  Json annotations = {
      {kTitle, organ.name},
      {"org.opencontainers.image.version", organ.version},
      {"org.opencontainers.image.created", organ.created},
      {"organ.architecture.signature", organ.architecture.signature.to_string()},
      {"organ.extraction.layers",
       fmt::format("{}:{}/{}", organ.extraction.first_layer,
                   organ.extraction.first_layer + organ.extraction.layer_count,
                   organ.extraction.donor_layer_count)},
  };
  if (organ.license) annotations["org.opencontainers.image.licenses"] = *organ.license;
  const Json manifest = {{"schemaVersion", 2},         {"mediaType", kManifestType},
                         {"artifactType", kModelType}, {"config", descriptor(kConfigType, config)},
                         {"layers", layers},           {"annotations", annotations}};
  return TextBlob(canonical_json(manifest));
}

VersionTexts version_texts(const Manifest& organ, const std::string& organ_text,
                           const std::optional<Digest>& wanted) {
  const auto written = [&](DiffIds listed) {
    TextBlob organ_json(organ_text);
    TextBlob config = model_config(organ, organ_json.ref, listed);
    TextBlob manifest = version_manifest(organ, organ_json.ref, config.ref);
    return VersionTexts{std::move(organ_json), std::move(config), std::move(manifest)};
  };
  VersionTexts now = written(DiffIds::every_layer);
  if (!wanted || now.manifest.ref.digest == *wanted) return now;
  VersionTexts before = written(DiffIds::files_only);
  return before.manifest.ref.digest == *wanted ? std::move(before) : std::move(now);
}

std::vector<Digest> identities(const Manifest& organ, const std::string& organ_text) {
  const TextBlob organ_json(organ_text);
  std::vector<Digest> all;
  for (const DiffIds listed : {DiffIds::every_layer, DiffIds::files_only}) {
    const TextBlob config = model_config(organ, organ_json.ref, listed);
    all.push_back(version_manifest(organ, organ_json.ref, config.ref).ref.digest);
  }
  return all;
}

void require_readable(std::string_view what, std::uint64_t bytes, std::uint64_t limit) {
  if (bytes <= limit) return;
  fail(ErrorCode::invalid_argument, "{} has {} bytes, a reader takes at most {}", what, bytes,
       limit);
}

void require_readable(const VersionTexts& texts) {
  require_readable("organ.json", texts.organ_json.text.size(), format::kManifestLimit);
  require_readable("its OCI manifest", texts.manifest.text.size(), kOciManifestLimit);
}

VersionManifest parse_version_manifest(std::string_view text, std::string_view subject) {
  const Json json = parse_manifest(text, subject);
  const JsonObject object(json, std::string(subject));
  check_artifact_type(object, kModelType);
  VersionManifest out;
  out.config = parse_descriptor(object.object("config"), kConfigType);
  bool first = true;
  for (const JsonObject& layer : object.objects("layers")) {
    const std::string type = layer.string("mediaType");
    if (first != (type == kWeightConfigType)) {
      layer.fail_field("mediaType", "organ.json must be the first layer and the only of its type");
    }
    const BlobRef blob = parse_descriptor(layer, first              ? kWeightConfigType
                                                 : type == kDocType ? kDocType
                                                                    : kWeightType);
    if (first)
      out.organ = blob;
    else
      out.files.push_back(blob);
    first = false;
  }
  if (first) object.fail_field("layers", "is empty");
  return out;
}

TextBlob signature_manifest(const BlobRef& bundle, const BlobRef& subject) {
  const Json manifest = {{"schemaVersion", 2},
                         {"mediaType", kManifestType},
                         {"artifactType", kBundleType},
                         {"config", descriptor(kEmptyType, empty_config().ref)},
                         {"layers", Json::array({descriptor(kBundleType, bundle)})},
                         {"subject", descriptor(kManifestType, subject)}};
  return TextBlob(canonical_json(manifest));
}

BlobRef parse_signature_manifest(std::string_view text, const BlobRef& subject,
                                 std::string_view name) {
  const Json json = parse_manifest(text, name);
  const JsonObject object(json, std::string(name));
  check_artifact_type(object, kBundleType);
  if (parse_descriptor(object.object("subject"), kManifestType) != subject) {
    object.fail_field("subject", "is another manifest, expected " + subject.digest.to_string());
  }
  const std::vector<JsonObject> layers = object.objects("layers");
  if (layers.size() != 1) object.fail_field("layers", "must have one element");
  return parse_descriptor(layers.front(), kBundleType);
}

std::string index_text(const std::vector<IndexEntry>& entries) {
  Json manifests = Json::array();
  for (const IndexEntry& entry : entries) {
    Json line = descriptor(kManifestType, entry.manifest);
    line["artifactType"] = entry.tag.empty() ? kBundleType : kModelType;
    if (!entry.tag.empty()) line["annotations"] = {{kRefName, entry.tag}};
    manifests.push_back(std::move(line));
  }
  const Json index = {{"schemaVersion", 2}, {"mediaType", kIndexType}, {"manifests", manifests}};
  return canonical_json(index);
}

std::string moved_tag(std::string_view text, const std::vector<IndexEntry>& entries) {
  std::map<std::string, Digest> tags;
  for (const IndexEntry& entry : entries) tags.emplace(entry.tag, entry.manifest.digest);
  try {
    const Json json = parse_json(text, {.bytes = text.size()}, "index.json");
    for (const JsonObject& line : JsonObject(json, "index.json").objects("manifests")) {
      if (line.is_null("annotations")) continue;
      const auto tag = line.object("annotations").optional_string(kRefName);
      const auto known = tags.find(tag.value_or(""));
      if (!tag || known == tags.end() || known->second == line.digest("digest")) continue;
      return fmt::format("silent re-tag: {} points at {}, which was published as {}", quote(*tag),
                         line.digest("digest").to_string(), known->second.to_string());
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt) throw;
  }
  return {};
}

bool is_index_beginning(std::string_view text, std::string_view whole) {
  static const std::string empty = index_text({});
  const std::size_t head = empty.find('[') + 1;
  const std::string_view tail = std::string_view(empty).substr(head);
  if (!text.ends_with(tail) || text.size() < empty.size()) return false;
  const std::string_view listed = text.substr(0, text.size() - tail.size());
  if (!whole.starts_with(listed)) return false;
  // It ends where an entry of the whole one does.
  const std::string_view next = whole.substr(listed.size());
  return listed.size() == head || next == tail || next.starts_with(',');
}

}  // namespace organ::registry
