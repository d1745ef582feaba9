// SPDX-License-Identifier: Apache-2.0
#include "format/signature/attached_bundles.h"

#include <algorithm>
#include <utility>

#include "format/manifest/manifest.h"
#include "format/signature/attestation.h"

namespace organ::format {

std::uint64_t AttachedBundles::Kind::room() const {
  return bundles.size() < kMostBundles ? kBundlesLimit - bytes : 0;
}

std::uint64_t AttachedBundles::room() const {
  constexpr std::uint64_t kMostLookedAt = 4 * kBundlesLimit;
  if (looked_at_ >= kMostLookedAt) return 0;
  return std::min(std::max(signatures_.room(), attestations_.room()), kSignatureLimit);
}

void AttachedBundles::offer(std::string bundle) {
  looked_at_ += bundle.size();
  Kind& kind = is_attestation(bundle) ? attestations_ : signatures_;
  if (bundle.empty() || bundle.size() > kind.room()) return leave_out();
  kind.bytes += bundle.size();
  kind.bundles.push_back(std::move(bundle));
}

}  // namespace organ::format
