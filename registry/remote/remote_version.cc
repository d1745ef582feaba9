// SPDX-License-Identifier: Apache-2.0
#include "registry/remote/remote_version.h"

#include "format/base/fail.h"
#include "format/signature/attestation.h"
#include "format/signature/signing.h"
#include "registry/oci/oci.h"
#include "registry/trust/attached.h"

namespace organ::registry {
namespace {

constexpr std::size_t kMaxReferrers = 1024;

std::string selector_of(const RemoteReference& where) {
  return where.digest ? where.digest->to_string() : where.tag;
}

void check_identity(const RemoteVersion& version, const std::string& subject) {
  const VersionTexts texts =
      version_texts(version.organ, version.organ_text, version.manifest.digest);
  if (texts.manifest.ref == version.manifest) return;
  throw Error(
      ErrorCode::corrupt,
      fmt::format("{}: is not the manifest that organ writes of its organ.json ({}, expected "
                  "{})",
                  subject, version.manifest.digest.to_string(),
                  texts.manifest.ref.digest.to_string()),
      "another program packed it: the version would get another identity here");
}

std::string read_limited(const Repository& repository, const BlobRef& blob, std::uint64_t limit,
                         const std::string& name) {
  if (blob.size > limit) {
    fail(ErrorCode::corrupt, "{}: has {} bytes, at most {} are allowed", name, blob.size, limit);
  }
  return repository.read_blob(blob, name);
}

// The bundle of one of them; nullopt for what neither signs the version nor states anything of it.
std::optional<std::string> read_signature(const Repository& repository, const Digest& signature,
                                          const RemoteVersion& version, std::uint64_t limit) {
  try {
    const auto manifest = repository.find_manifest(signature.to_string());
    if (!manifest) return std::nullopt;
    const BlobRef bundle = parse_signature_manifest(manifest->text, version.manifest, "signature");
    std::string text = read_limited(repository, bundle, limit, "signature");
    if (format::is_attestation(text)) {
      require_about(text, version.organ.name + ":" + version.organ.version,
                    version.manifest.digest);
    } else {
      format::read_bundle(text, "signature");
    }
    return text;
  } catch (const Error& error) {
    const ErrorCode code = error.code();
    const bool is_none = code == ErrorCode::corrupt || code == ErrorCode::not_found ||
                         code == ErrorCode::unsupported_version ||
                         code == ErrorCode::invalid_argument;  // about something else
    if (!is_none) throw;
    return std::nullopt;
  }
}

// What is none helps nobody, and keeps no good one from us.
void read_signatures(const Repository& repository, RemoteVersion& version) {
  std::size_t beyond = 0;
  for (const BlobRef& signature :
       repository.referrers(version.manifest.digest, kBundleType, kMaxReferrers, beyond)) {
    std::optional<std::string> bundle;
    if (const std::uint64_t room = version.attached.room(); room > 0) {
      bundle = read_signature(repository, signature.digest, version, room);
    }
    bundle ? version.attached.offer(*std::move(bundle)) : version.attached.leave_out();
  }
  version.attached.leave_out(beyond);
}

}  // namespace

RemoteVersion read_version(const Repository& repository) {
  const RemoteReference& where = repository.session().where();
  const std::string selector = selector_of(where), subject = quote(where.to_string());
  const auto manifest = repository.find_manifest(selector);
  if (!manifest) fail(ErrorCode::not_found, "{}: no such version", subject);
  const VersionManifest parsed = parse_version_manifest(manifest->text, subject + ": manifest");
  RemoteVersion version;
  version.manifest = manifest->ref;
  version.organ_text = read_limited(repository, parsed.organ, format::kManifestLimit, "organ.json");
  version.organ = format::Manifest::parse(version.organ_text, subject + ": organ.json");
  check_identity(version, subject);
  read_signatures(repository, version);
  return version;
}

}  // namespace organ::registry
