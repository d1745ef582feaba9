// SPDX-License-Identifier: Apache-2.0
// Attaching what somebody states of a published version.
#include "registry/internal/attest.h"

#include <algorithm>

#include "format/base/fail.h"
#include "format/base/file_system.h"
#include "registry/internal/registry_impl.h"
#include "registry/oci/oci.h"

namespace organ::registry {

format::Attestation require_about(const std::string& bundle, const Digest& identity) {
  format::Attestation statement = format::read_attestation(bundle, "attestation");
  if (statement.identity != identity) {
    fail(ErrorCode::invalid_argument, "attestation: is about {} ({}), not about {}",
         quote(statement.organ), statement.identity.to_string(), identity.to_string());
  }
  return statement;
}

AttestResult Registry::attest(const ResolvedVersion& version, const std::string& bundle,
                              const Work& work) {
  check(impl_->writable, "the registry was opened for reading");
  require_about(bundle, version.digest);
  const BlobRef manifest{version.digest, version.manifest_size};
  const TextBlob text(bundle);
  const TextBlob attached = signature_manifest(text.ref, manifest);
  const FileLock store = share_store(impl_->paths, work);
  const BlobStore& blobs = impl_->blobs;
  std::vector<StagedBlob> staged;
  for (const TextBlob& blob : {text, empty_config(), attached}) {
    staged.push_back(blobs.stage(blob.text, blob.ref.digest));
  }
  const FileLock lock = impl_->lock_to_write(work);
  impl_->prove(version);
  AttestResult result{.manifest = attached.ref.digest};
  const auto known = impl_->catalog.attached(version.log_index, Attached::attestation);
  result.already_attached = std::ranges::find(known, attached.ref) != known.end();
  if (result.already_attached) return result;
  work.require_wanted();
  for (StagedBlob& blob : staged) blobs.link(std::move(blob));
  blobs.sync();
  LogEntry entry = entry_of(LogKind::attestation);
  entry.name = version.name;
  entry.version = version.version;
  entry.manifest = manifest;
  entry.signatures = {attached.ref};
  result.log_index = impl_->commit(entry);
  return result;
}

}  // namespace organ::registry
