// SPDX-License-Identifier: Apache-2.0
// The life of a version after its publication: aliases, yanking, revoking. Each is one signed entry
// of the log.
#include <algorithm>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "registry/internal/registry_impl.h"

namespace organ::registry {
namespace {

using format::Reference;
using format::Version;

constexpr std::size_t kReasonLimit = 4096;  // bytes; a line of the log holds 64 KiB

void check_reason(const std::string& reason) {
  if (reason.empty() || reason.size() > kReasonLimit) {
    fail(ErrorCode::invalid_argument, "a reason of {} bytes, expected 1 to {}", reason.size(),
         kReasonLimit);
  }
}

}  // namespace

void Registry::set_alias(const std::string& name, const std::string& alias,
                         const std::optional<Version>& version) {
  // The grammar of an alias is that of name@alias.
  const Reference reference = Reference::parse(name + "@" + alias);
  if (!std::holds_alternative<format::Alias>(reference.selector)) {
    fail(ErrorCode::invalid_argument, "{}: not an alias", quote(alias));
  }
  const FileLock lock = impl_->lock_to_write({});
  LogEntry entry = entry_of(LogKind::alias);
  entry.name = name;
  entry.alias = alias;
  if (version) {
    entry.version = impl_->find_reference({name, *version}).version;
    if (impl_->facts().alias(name, alias) == entry.version) return;
  } else {
    impl_->find_reference(reference);
  }
  impl_->commit(entry);
}

void Registry::withdraw(Withdrawal kind, const std::string& name, const Version& version,
                        const std::optional<std::string>& reason) {
  if (reason) check_reason(*reason);
  const FileLock lock = impl_->lock_to_write({});
  const VersionInfo found = impl_->find_reference({name, version});
  const bool revoked = kind == Withdrawal::revoke;
  const auto& now = revoked ? found.revoke_reason : found.yank_reason;
  if (now == reason) return;
  LogEntry entry = entry_of(revoked ? LogKind::revoke : LogKind::yank);
  entry.name = found.name;
  entry.version = found.version;
  entry.reason = reason.value_or(now.value_or(""));
  entry.withdrawn = !reason;
  impl_->commit(entry);
}

}  // namespace organ::registry
