// SPDX-License-Identifier: Apache-2.0
// Input: an OCI manifest of a version or of a signature, or an organ.json, whose OCI documents are
// then made and read.
#include <nlohmann/json.hpp>

#include "format/base/json.h"
#include "registry/oci/oci.h"
#include "tests/fuzz/target.h"

namespace organ::registry {
namespace {

using fuzz::demand;

bool equal(const VersionManifest& a, const VersionManifest& b) {
  return a.organ == b.organ && a.config == b.config && a.files == b.files;
}

void check_canonical(const TextBlob& blob) {
  demand(canonical_json(parse_json(blob.text, {}, "again")) == blob.text, "its text is canonical");
  demand(blob.ref == BlobRef{sha256(blob.text), blob.text.size()}, "it is named by its digest");
}

// An organ of these files.
format::Manifest organ_of(const VersionManifest& version) {
  format::Manifest organ;
  for (const BlobRef& file : version.files) {
    format::FileEntry entry;
    entry.path = "file" + std::to_string(organ.files.size());
    entry.role = organ.files.size() % 2 == 0 ? format::FileRole::layer : format::FileRole::card;
    entry.digest = file.digest;
    entry.size = file.size;
    organ.files.push_back(std::move(entry));
  }
  return organ;
}

void read_version(std::string_view text) {
  fuzz::expect({ErrorCode::corrupt}, [&] {
    const VersionManifest version = parse_version_manifest(text, "manifest");
    demand(text.size() <= kOciManifestLimit, "the limit holds");
    const TextBlob written = version_manifest(organ_of(version), version.organ, version.config);
    check_canonical(written);
    if (written.text.size() > kOciManifestLimit) return;
    demand(equal(parse_version_manifest(written.text, "again"), version),
           "a version is read again as it was written");
  });
}

// Under the subject that it names, and under another one.
void read_signature(std::string_view text) {
  BlobRef subject;
  try {
    const Json json = parse_json(text, {.depth = 16}, "manifest");
    const Json& named = json.at("subject");
    subject = {Digest::parse(named.at("digest").get_ref<const std::string&>()),
               named.at("size").get<std::uint64_t>()};
  } catch (const Error&) {
  } catch (const Json::exception&) {
  }
  fuzz::expect({ErrorCode::corrupt}, [&] {
    const BlobRef bundle = parse_signature_manifest(text, subject, "signature");
    const TextBlob written = signature_manifest(bundle, subject);
    check_canonical(written);
    demand(parse_signature_manifest(written.text, subject, "again") == bundle,
           "a signature is read again as it was written");
    fuzz::expect({ErrorCode::corrupt}, [&] {
      parse_signature_manifest(written.text, {sha256("another"), subject.size}, "another");
      demand(false, "a signature of another version is refused");
    });
  });
}

void read_organ(std::string_view text) {
  fuzz::expect({ErrorCode::corrupt, ErrorCode::unsupported_version}, [&] {
    const format::Manifest organ = format::Manifest::parse(text, "organ.json");
    const TextBlob organ_json{std::string(text)};
    const TextBlob config = model_config(organ, organ_json.ref);
    check_canonical(config);
    const TextBlob manifest = version_manifest(organ, organ_json.ref, config.ref);
    check_canonical(manifest);
    const VersionManifest version = parse_version_manifest(manifest.text, "again");
    demand(version.organ == organ_json.ref && version.config == config.ref &&
               version.files.size() == organ.files.size(),
           "a version holds its organ");
    const TextBlob signature = signature_manifest(config.ref, manifest.ref);
    demand(parse_signature_manifest(signature.text, manifest.ref, "again") == config.ref,
           "a signature names its bundle");
    check_canonical(TextBlob(index_text({{manifest.ref, organ.name}, {signature.ref, ""}})));
  });
}

}  // namespace
}  // namespace organ::registry

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text = organ::fuzz::text_of(data, size);
  organ::registry::read_version(text);
  organ::registry::read_signature(text);
  organ::registry::read_organ(text);
  return 0;
}
