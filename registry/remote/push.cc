// SPDX-License-Identifier: Apache-2.0
#include <set>

#include "format/base/fail.h"
#include "registry/blobs/side_by_side.h"
#include "registry/oci/oci.h"
#include "registry/remote/repository.h"
#include "registry/remote/shipment.h"

namespace organ::registry {
namespace {

// What goes over: every blob once.
class Parcel {
 public:
  void add(BlobToSend blob) {
    if (!seen_.insert(blob.ref.digest).second) return;
    bytes_ += blob.ref.size;
    blobs_.push_back(std::move(blob));
  }
  void add(const TextBlob& text, std::string name) {
    add(BlobToSend{.ref = text.ref, .name = std::move(name), .text = text.text});
  }
  std::uint64_t bytes() const { return bytes_; }

  void send(const Repository& repository, const PushOptions& options,
            const std::function<void()>& stop, PushResult& result) const {
    const Session& session = repository.session();
    std::vector<BlobSent> how(blobs_.size(), BlobSent::was_there);
    side_by_side(
        blobs_.size(), options.remote.transfers,
        [&](std::size_t i) { how[i] = repository.put_blob(blobs_[i], options.mount_from); },
        [&] {
          session.stop();
          stop();
        });
    result.bytes = bytes_;
    for (std::size_t i = 0; i < blobs_.size(); ++i) {
      if (how[i] == BlobSent::sent) result.sent_bytes += blobs_[i].ref.size;
      if (how[i] == BlobSent::mounted) result.mounted_bytes += blobs_[i].ref.size;
    }
  }

 private:
  std::vector<BlobToSend> blobs_;
  std::set<Digest> seen_;
  std::uint64_t bytes_ = 0;
};

// Files first: the long ones begin while the short ones go by.
Parcel pack(const Shipment& shipment) {
  Parcel parcel;
  const format::OrganSource& organ = shipment.organ;
  for (const format::FileEntry& file : organ.manifest().files) {
    parcel.add({.ref = {file.digest, file.size}, .name = quote(file.path), .open = [&organ, &file] {
                  return organ.open(file);
                }});
  }
  parcel.add(shipment.texts.organ_json, "organ.json");
  parcel.add(shipment.texts.config, "the config");
  for (const TextBlob& bundle : shipment.bundles) parcel.add(bundle, "a signature");
  if (!shipment.bundles.empty()) parcel.add(empty_config(), "the empty config");
  return parcel;
}

// Whether the tag names the version already.
bool check_tag(const Repository& repository, const RemoteReference& to, const Digest& digest,
               bool replace) {
  const auto there = repository.find_digest(to.tag);
  if (!there) return false;
  if (*there == digest) return true;
  if (replace) return false;
  throw Error(ErrorCode::already_exists,
              fmt::format("{}: names another version already ({}, this is {})",
                          quote(to.to_string()), there->to_string(), digest.to_string()),
              "another tag, or --replace-tag");
}

void put_signatures(const Repository& repository, const std::vector<TextBlob>& bundles,
                    const BlobRef& manifest) {
  for (const TextBlob& bundle : bundles) {
    const TextBlob text = signature_manifest(bundle.ref, manifest);
    const bool kept = repository.put_manifest(text.text, text.ref.digest, {}, kManifestType);
    if (!kept) repository.add_fallback_referrer(manifest.digest, text.ref, kBundleType);
  }
}

}  // namespace

Shipment::Shipment(const format::OrganSource& organ_, const Digest& digest)
    : organ(organ_), texts(version_texts(organ.manifest(), organ.manifest_text(), digest)) {
  if (texts.manifest.ref.digest != digest) {
    fail(ErrorCode::corrupt,
         "{}:{}: its manifest is not the one that organ writes of its organ.json",
         organ.manifest().name, organ.manifest().version);
  }
  for (std::string& bundle : organ.signature_bundles()) bundles.emplace_back(std::move(bundle));
  signatures = bundles.size();
  for (std::string& bundle : organ.attestation_bundles()) bundles.emplace_back(std::move(bundle));
}

RemoteReference with_tag(const RemoteReference& to, const std::string& version) {
  if (to.digest) {
    fail(ErrorCode::invalid_argument, "{}: a version is pushed to a tag, not to a digest",
         quote(to.to_string()));
  }
  RemoteReference out = to;
  if (out.tag.empty()) out.tag = tag_of_version(version);
  return out;
}

PushResult send(const Shipment& shipment, const RemoteReference& to, const PushOptions& options,
                const Work& work) {
  const BlobRef& manifest = shipment.texts.manifest.ref;
  const Parcel parcel = pack(shipment);
  Session session(to, "pull,push", options.remote, work.phase("pushing", parcel.bytes()));
  if (!options.mount_from.empty()) session.also_read(options.mount_from);
  const Repository repository(session);
  PushResult result{.reference = to.to_string(),
                    .name = shipment.organ.manifest().name,
                    .version = shipment.organ.manifest().version,
                    .digest = manifest.digest};
  result.already_there = check_tag(repository, to, manifest.digest, options.replace_tag);
  parcel.send(repository, options, shipment.stop, result);
  repository.put_manifest(shipment.texts.manifest.text, manifest.digest, {}, kManifestType);
  put_signatures(repository, shipment.bundles, manifest);
  result.signatures = shipment.signatures;
  result.attestations = shipment.bundles.size() - shipment.signatures;
  work.require_wanted();
  if (!result.already_there) {
    repository.put_manifest(shipment.texts.manifest.text, manifest.digest, to.tag, kManifestType);
  }
  return result;
}

PushResult push(const Registry& registry, const format::Reference& reference,
                const RemoteReference& where, const PushOptions& options, const Work& work) {
  const ResolvedVersion version = registry.resolve(reference);
  require_not_revoked(version);
  const RemoteReference to = with_tag(where, version.version);
  const auto organ = registry.open_organ(version);
  return send(Shipment(*organ, version.digest), to, options, work);
}

}  // namespace organ::registry
