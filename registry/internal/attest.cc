// SPDX-License-Identifier: Apache-2.0
// Attaching what somebody states of a published version.
#include <algorithm>

#include "format/base/fail.h"
#include "format/base/file_system.h"
#include "registry/internal/registry_impl.h"
#include "registry/oci/oci.h"
#include "registry/trust/attached.h"

namespace organ::registry {

void Registry::Impl::commit_statements(const LogEntry& entry, bool is_published) {
  try {
    commit(entry);
  } catch (const Error& error) {
    if (!is_published) throw;  // nothing else was asked for
    notices.push_back(fmt::format("{}:{}: published; what is stated of it is not attached: {}",
                                  entry.name, entry.version, error.message()));
  }
}

AttestResult Registry::attest(const ResolvedVersion& version, const std::string& bundle,
                              const Work& work) {
  check(impl_->writable, "the registry was opened for reading");
  require_about(bundle, version.name + ":" + version.version, version.digest);
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
  work.require_wanted();
  for (StagedBlob& blob : staged) blobs.link(std::move(blob));  // a damaged one is replaced too
  blobs.sync();
  if (result.already_attached) return result;
  LogEntry entry = entry_of(LogKind::attestation);
  entry.name = version.name;
  entry.version = version.version;
  entry.manifest = manifest;
  entry.signatures = {attached.ref};
  result.log_index = impl_->commit(entry);
  return result;
}

}  // namespace organ::registry
