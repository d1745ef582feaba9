// SPDX-License-Identifier: Apache-2.0
// What a user and the log's root demand of the state as a whole, and changes of that root.
#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/manifest/manifest.h"
#include "registry/internal/registry_impl.h"

namespace organ::registry {
namespace {

std::uint64_t now() { return static_cast<std::uint64_t>(format::clock_seconds()); }

}  // namespace

StateAge Registry::Impl::age() const {
  const LogRoot root = facts().root().value_or(LogRoot{});
  return {.signed_at = log.signed_checkpoint().time,
          .now = now(),
          .limit = stricter_limit(root.max_age, stricter_limit(options_.max_age, max_age_))};
}

EndVerdict Registry::Impl::end_of_key() const {
  return judge_end(facts().root().value_or(LogRoot{}).expires, now());
}

void Registry::Impl::judge_state(TrustVerdict& verdict) const {
  const std::string subject = quote(paths.root.string());
  AgeVerdict state = judge_age(age(), subject);
  if (!state.established.empty()) verdict.established.push_back(std::move(state.established));
  if (state.refusal) verdict.refusals.push_back(*std::move(state.refusal));
  if (state.warning) verdict.warnings.push_back(*std::move(state.warning));
  const EndVerdict end = end_of_key();
  if (!end.over.empty()) verdict.refusals.push_back({ErrorCode::untrusted, subject, end.over});
  if (!end.near.empty()) verdict.warnings.push_back({ErrorCode::untrusted, subject, end.near});
}

void Registry::Impl::require_state() {
  const std::string subject = quote(paths.root.string());
  const auto refuse = [&](const std::string& why, const char* way_out) {
    if (!writable) throw Error(ErrorCode::untrusted, subject + ": " + why, way_out);
    notices.push_back(subject + ": " + why);
  };
  const StateAge state = age();
  const auto frozen = state.limit ? judge_age(state, subject).refusal : std::nullopt;
  if (frozen) {
    refuse(frozen->message,
           "ask who runs the registry; organ log renew signs what is still the newest state");
  }
  const EndVerdict end = end_of_key();
  if (!end.over.empty()) {
    refuse(end.over, "ask who runs the registry; organ log root --rotate hands over to a new key");
  }
  if (!end.near.empty()) notices.push_back(subject + ": " + end.near);
}

void Registry::Impl::require_key_in_force() const {
  const std::string over = end_of_key().over;
  if (over.empty()) return;
  throw Error(ErrorCode::untrusted, quote(paths.root.string()) + ": " + over,
              "organ log root --rotate hands over to a new key");
}

std::optional<std::uint64_t> Registry::max_age() const { return impl_->age().limit; }

void Registry::renew() {
  const FileLock lock = impl_->lock_to_write({});
  impl_->require_key_in_force();
  impl_->log.renew(impl_->catalog.position());
}

LogRoot Registry::root() const {
  const auto& root = impl_->facts().root();
  if (!root) {
    fail(ErrorCode::corrupt, "{}: its log does not begin with its key", quote(folder().string()));
  }
  return *root;
}

std::string Registry::prepare_log_key() {
  const FileLock lock = impl_->lock_to_write({});
  return impl_->log.prepare_key();
}

std::string Registry::sign_root(const LogRoot& next) {
  const FileLock lock = impl_->lock_to_write({});
  SignedNote note{.text = root_note_text(next, impl_->log.origin()), .signatures = {}};
  std::vector<std::string> keys = root().keys;
  keys.insert(keys.end(), next.keys.begin(), next.keys.end());
  impl_->log.sign_as(keys, note);
  return note.to_string();
}

std::uint64_t Registry::apply_root(const std::string& note) {
  const FileLock lock = impl_->lock_to_write({});
  next_root(root(), note, impl_->log.origin(), "the new root");
  const LogRoot next = read_root_note(note, impl_->log.origin(), "the new root");
  if (next.log_key != root().log_key && next.log_key != impl_->log.next_key()) {
    throw Error(ErrorCode::untrusted,
                fmt::format("the new root: its log key is {}, and this registry's next one is "
                            "another",
                            next.log_key),
                "organ log root --rotate makes the next key, and a root that names it");
  }
  LogEntry entry = entry_of(LogKind::root);
  entry.note = note;
  const std::uint64_t index = impl_->commit(entry);
  try {
    impl_->log.hand_over(next.log_key);
  } catch (const Error& error) {
    impl_->notices.push_back("it is in the log; the next command that writes completes it: " +
                             error.message());
  }
  return index;
}

}  // namespace organ::registry
