// SPDX-License-Identifier: Apache-2.0
#include "registry/catalog/version_info.h"

#include "format/base/fail.h"

namespace organ::registry {

void require_not_revoked(const VersionInfo& version) {
  if (version.taken_down) {
    fail(ErrorCode::untrusted, "{}:{}: {}", version.name, version.version,
         describe(*version.taken_down));
  }
  if (version.unwitnessed) {
    fail(ErrorCode::untrusted, "{}:{}: {}", version.name, version.version, *version.unwitnessed);
  }
  if (!version.revoke_reason) return;
  fail(ErrorCode::untrusted, "{}:{}: is revoked: {}", version.name, version.version,
       escape_text(*version.revoke_reason));
}

}  // namespace organ::registry
