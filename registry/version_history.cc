// SPDX-License-Identifier: Apache-2.0
// What the log says of one version.
#include <set>

#include "format/base/fail.h"
#include "format/base/path_status.h"
#include "format/signature/attestation.h"
#include "registry/internal/registry_impl.h"

namespace organ::registry {
namespace {

// Asked about every entry in log order: an alias that goes elsewhere leaves the version it was at.
class Concern {
 public:
  explicit Concern(const VersionInfo& version) : version_(version) {}

  bool about(const LogEntry& entry) {
    switch (entry.kind) {
      case LogKind::key:
      case LogKind::policy: return false;
      case LogKind::alias: return about_alias(entry);
      case LogKind::supersede:
        return is_it(entry) || entry.successor == version_.name + ":" + version_.version;
      default: return is_it(entry);
    }
  }

 private:
  bool is_it(const LogEntry& entry) const {
    return entry.name == version_.name && entry.version == version_.version;
  }
  bool about_alias(const LogEntry& entry) {
    if (entry.name != version_.name) return false;
    const bool was = aliases_.erase(entry.alias) > 0;
    if (is_it(entry)) aliases_.insert(entry.alias);
    return was || is_it(entry);
  }

  const VersionInfo& version_;
  std::set<std::string> aliases_;
};

// Whether the signature is good under the key that it names, if the registry has that.
bool is_good(const std::string& bundle, const VersionEvent::Signer& by, const RegistryPaths& paths,
             const std::string& subject) {
  const std::filesystem::path file = paths.trust() / (by.key.hex() + ".pem");
  if (!is_file(file)) return false;
  try {
    const std::vector<format::PublicKey> keys = {format::PublicKey::load(file)};
    return by.key == (by.states.empty() ? format::verify_bundle(bundle, keys, subject).key
                                        : format::verify_attestation(bundle, {keys}, subject).key);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::io) throw;
    return false;
  }
}

VersionEvent::Signer signer_of(LogKind kind, const std::string& bundle,
                               const std::string& subject) {
  if (kind != LogKind::attestation) {
    const format::SignedStatement statement = format::read_bundle(bundle, subject);
    const auto& signer = statement.certificate;
    return {.key = statement.key, .certificate = signer ? signer->describe() : std::string()};
  }
  const format::Attestation statement = format::read_attestation(bundle, subject);
  return {.key = statement.key, .states = to_string(statement.type)};
}

void add_signers(const BlobStore& blobs, const RegistryPaths& paths, const BlobRef& manifest,
                 VersionEvent& event) {
  const LogEntry& entry = event.record.entry;
  const std::string subject = entry.name + ":" + entry.version;
  for (const BlobRef& signature : entry.signatures) {
    try {
      const std::string bundle = load_signature(blobs, signature, manifest, subject).text;
      VersionEvent::Signer signer = signer_of(entry.kind, bundle, subject);
      signer.verified = is_good(bundle, signer, paths, subject);
      event.signers.push_back(signer);
    } catch (const UnreadableBlob& error) {
      event.unreadable.push_back(error.message());
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::unsupported_version) {
        throw;
      }
      event.unreadable.push_back(error.message());
    }
  }
}

}  // namespace

std::vector<VersionEvent> Registry::history_of(const ResolvedVersion& version) const {
  std::vector<VersionEvent> events;
  Concern concern(version);
  LogFacts facts;
  add_facts(impl_->log, {}, facts, [&](const LogPlace& place, const LogEntry& entry) {
    if (!concern.about(entry)) return;
    events.push_back({.record = {place.index, entry}, .signers = {}, .unreadable = {}});
  });
  for (VersionEvent& event : events) {
    add_signers(impl_->blobs, impl_->paths, {version.digest, version.manifest_size}, event);
  }
  return events;
}

}  // namespace organ::registry
