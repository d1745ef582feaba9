// SPDX-License-Identifier: Apache-2.0
// What a user and the log itself demand of the state as a whole.
#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/manifest/manifest.h"
#include "registry/internal/registry_impl.h"

namespace organ::registry {
StateAge Registry::Impl::age() const {
  return {.signed_at = log.signed_checkpoint().time,
          .now = static_cast<std::uint64_t>(format::clock_seconds()),
          .limit = stricter_limit(options_.max_age, max_age_)};
}

void Registry::Impl::require_fresh() {
  const StateAge now = age();
  if (!now.limit) return;
  const auto refusal = judge_age(now, quote(paths.root.string())).refusal;
  if (!refusal) return;
  if (!writable) {
    throw Error(refusal->code, refusal->subject + ": " + refusal->message,
                "ask who runs the registry; organ log renew signs what is still the newest state");
  }
  notices.push_back(refusal->subject + ": " + refusal->message);
}

std::optional<std::uint64_t> Registry::max_age() const { return impl_->age().limit; }

void Registry::renew() {
  const FileLock lock = impl_->lock_to_write({});
  impl_->log.renew(impl_->catalog.position());
}

}  // namespace organ::registry
