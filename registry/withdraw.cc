// SPDX-License-Identifier: Apache-2.0
// The life of a version after its publication: aliases, yanking, revoking, taking down,
// superseding. Each is one signed entry of the log.
#include <set>

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

LogKind kind_of(Registry::Withdrawal kind) {
  switch (kind) {
    case Registry::Withdrawal::yank: return LogKind::yank;
    case Registry::Withdrawal::revoke: return LogKind::revoke;
    case Registry::Withdrawal::takedown: return LogKind::takedown;
  }
  return LogKind::revoke;
}

std::optional<std::string> reason_of(Registry::Withdrawal kind, const VersionInfo& version) {
  if (kind == Registry::Withdrawal::yank) return version.yank_reason;
  if (kind == Registry::Withdrawal::revoke) return version.revoke_reason;
  return version.taken_down ? std::optional(version.taken_down->reason) : std::nullopt;
}

// Following successors from `by` on never leads back to `version`.
void check_chain(const LogFacts& facts, const std::string& version, const std::string& by) {
  std::set<std::string> seen;
  for (std::string at = by; seen.insert(at).second;) {
    if (at == version) {
      fail(ErrorCode::invalid_argument, "{}: would be superseded by itself", version);
    }
    const auto [name, text] = format::parse_exact(at);
    const auto next = facts.superseded(name, text.to_string());
    if (!next) return;
    at = next->by;
  }
}

}  // namespace

void Registry::set_alias(const std::string& name, const std::string& alias,
                         const std::optional<Version>& version, const Work& work) {
  // The grammar of an alias is that of name@alias.
  const Reference reference = Reference::parse(name + "@" + alias);
  if (!std::holds_alternative<format::Alias>(reference.selector)) {
    fail(ErrorCode::invalid_argument, "{}: not an alias", quote(alias));
  }
  const FileLock lock = impl_->lock_to_write(work);
  LogEntry entry = entry_of(LogKind::alias);
  entry.name = name;
  entry.alias = alias;
  if (version) {
    entry.version = impl_->find_reference({name, *version}).version;
    if (impl_->facts().alias(name, alias) == entry.version) return;
  } else {
    impl_->find_reference(reference);
  }
  impl_->commit(entry, work);
}

bool Registry::withdraw(Withdrawal kind, const std::string& name, const Version& version,
                        const std::optional<std::string>& reason, const Work& work) {
  if (reason) check_reason(*reason);
  if (kind == Withdrawal::takedown && !reason) {
    fail(ErrorCode::invalid_argument, "a takedown is not taken back");
  }
  const FileLock lock = impl_->lock_to_write(work);
  const VersionInfo found = impl_->find_reference({name, version});
  const auto now = reason_of(kind, found);
  if (now == reason || (kind == Withdrawal::takedown && now)) return false;
  LogEntry entry = entry_of(kind_of(kind));
  entry.name = found.name;
  entry.version = found.version;
  entry.reason = reason.value_or(now.value_or(""));
  entry.withdrawn = !reason;
  impl_->commit(entry, work);
  return true;
}

bool Registry::supersede(const std::string& name, const Version& version,
                         const std::optional<Supersession>& by, const Work& work) {
  if (by) check_reason(by->reason);
  const FileLock lock = impl_->lock_to_write(work);
  const VersionInfo found = impl_->find_reference({name, version});
  if (found.superseded == by) return false;
  if (by) {
    const auto [other, number] = format::parse_exact(by->by);
    const VersionInfo successor = impl_->find_reference({other, number});
    if (successor.yank_reason || successor.revoke_reason || successor.taken_down) {
      fail(ErrorCode::invalid_argument, "{}: was withdrawn itself", by->by);
    }
    check_chain(impl_->facts(), found.name + ":" + found.version, by->by);
  }
  const Supersession said = by ? *by : *found.superseded;
  LogEntry entry = entry_of(LogKind::supersede);
  entry.name = found.name;
  entry.version = found.version;
  entry.successor = said.by;
  entry.reason = said.reason;
  entry.withdrawn = !by;
  impl_->commit(entry, work);
  return true;
}

}  // namespace organ::registry
