// SPDX-License-Identifier: Apache-2.0
// What a user and the log's root demand of the state as a whole, and changes of that root.
#include <sys/stat.h>

#include <algorithm>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/manifest/manifest.h"
#include "registry/internal/registry_impl.h"
#include "registry/log/moment.h"
#include "registry/notes/note.h"

namespace organ::registry {
namespace {

// Another text when a witness has left something since: each of them renames a file into the
// folder.
std::string state_of(const std::filesystem::path& folder) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0) return "none";
  return fmt::format("{}:{}.{}", status.st_ino, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

// What nobody has witnessed counts where it takes away.
void add_unwitnessed(std::uint64_t index, const LogEntry& entry, LogFacts& facts) {
  const bool withdraws = (entry.kind == LogKind::yank || entry.kind == LogKind::revoke ||
                          entry.kind == LogKind::takedown) &&
                         !entry.withdrawn;
  const bool takes_key = entry.action == "distrust" || entry.action == "retire";
  if (withdraws || takes_key) {
    facts.add(index, entry);
  } else if (entry.kind == LogKind::publish) {
    LogEntry hidden = entry;
    hidden.kind = LogKind::yank;
    hidden.reason = fmt::format("entry {} is not cosigned by enough witnesses yet", index);
    facts.add(index, hidden);
  }
}

}  // namespace

const Witnessed& Registry::Impl::witnessed() const {
  const LogFacts& all = all_facts();
  constexpr std::uint64_t kMinute = 60;  // what was cosigned grows older
  const std::string state = log.signed_checkpoint().note + state_of(witness_folder(paths.organ())) +
                            std::to_string(seconds_now() / kMinute);
  if (state != witnessed_of_) {
    witnessed_ = what_counts(log, paths.organ(), all, seconds_now());
    witnessed_of_ = state;
  }
  return witnessed_;
}

const LogFacts& Registry::Impl::facts() const {
  if (writable) return all_facts();
  const std::uint64_t counts = witnessed().entries;
  return counts < facts_end_.entries() ? counted_facts(counts) : facts_;
}

const LogFacts& Registry::Impl::counted_facts(std::uint64_t entries) const {
  const std::pair end(entries, facts_end_.entries());
  if (counted_end_ == end) return counted_;
  LogFacts counted;
  log.scan({}, [&](const LogPlace& place, const LogEntry& entry) {
    if (place.index < entries) {
      counted.add(place.index, entry);
    } else if (place.index < end.second) {
      add_unwitnessed(place.index, entry, counted);
    }
  });
  counted_ = std::move(counted);
  counted_end_ = end;
  return counted_;
}

SignatureAnchors Registry::Impl::anchors_of(const std::string& name,
                                            const std::optional<VersionInfo>& version,
                                            std::optional<std::uint64_t> now) const {
  if (policy().rule_for(name).limits.empty()) return {};
  anchors_end_ =
      log.scan(anchors_end_,
               [&](const LogPlace& place, const LogEntry& entry) {
                 // Entered twice, the first time counts.
                 for (const BlobRef& signature : entry.signatures) {
                   anchors_.try_emplace(
                       signature.digest,
                       LogAnchor{place.index, parse_moment(entry.time).value_or(UINT64_MAX)});
                 }
               })
          .end;
  std::map<std::string, LogAnchor> known;
  if (version) {
    for (const BlobRef& signature : catalog.attached(version->log_index)) {
      const auto anchor = anchors_.find(signature.digest);
      if (anchor == anchors_.end()) continue;
      try {
        const BlobRef manifest{version->digest, version->manifest_size};
        known.emplace(load_signature(blobs, signature, manifest, version->name).text,
                      anchor->second);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) throw;  // evaluate() tells
      }
    }
  }
  return [known = std::move(known), now](const std::string& bundle) -> std::optional<LogAnchor> {
    if (const auto at = known.find(bundle); at != known.end()) return at->second;
    if (now) return LogAnchor{UINT64_MAX, *now};
    return std::nullopt;
  };
}

StateAge Registry::Impl::age() const {
  const auto demanded = writable ? root().max_age : witnessed().root.max_age;
  StateAge age = users_age();
  age.limit = stricter_limit(demanded, age.limit);
  return age;
}

StateAge Registry::Impl::users_age() const {
  return {.signed_at = log.signed_checkpoint().time,
          .now = seconds_now(),
          .limit = stricter_limit(options_.max_age, max_age_)};
}

LogRoot Registry::Impl::root() const {
  const LogRoot* root = all_facts().root();
  if (root != nullptr) return *root;
  fail(ErrorCode::corrupt, "{}: its log does not begin with its key", quote(paths.root.string()));
}

EndVerdict Registry::Impl::end_of_key() const { return judge_end(root().expires, seconds_now()); }

void Registry::Impl::judge_witnesses(const VersionInfo& version, TrustVerdict& verdict) const {
  const Witnessed& seen = witnessed();
  const std::string who =
      fmt::format("{} of {} witnesses", seen.root.quorum, seen.root.witnesses.size());
  const std::string subject = version.name + ":" + version.version;
  for (const Cosigned& one : seen.cosigned) {
    if (one.problem.empty()) continue;
    (one.contradicts ? verdict.refusals : verdict.warnings)
        .push_back({ErrorCode::untrusted, "witness " + one.witness, one.problem});
  }
  if (seen.root.quorum == 0) return;
  if (version.log_index < seen.entries) {
    verdict.established.push_back(
        fmt::format("{} have cosigned the first {} entries of the log", who, seen.entries));
    return;
  }
  verdict.not_established.push_back("whether everybody is shown the same history");
  verdict.refusals.push_back(
      {ErrorCode::untrusted, subject,
       fmt::format("not witnessed: it is entry {} of the log, of which {} have cosigned the first "
                   "{} entries",
                   version.log_index, who, seen.entries)});
}

void Registry::Impl::judge_state(const VersionInfo& version, TrustVerdict& verdict) const {
  const std::string subject = quote(paths.root.string());
  AgeVerdict state = judge_age(age(), subject);
  if (!state.established.empty()) verdict.established.push_back(std::move(state.established));
  if (state.refusal) verdict.refusals.push_back(*std::move(state.refusal));
  if (state.warning) verdict.warnings.push_back(*std::move(state.warning));
  const EndVerdict end = end_of_key();
  if (!end.over.empty()) verdict.refusals.push_back({ErrorCode::untrusted, subject, end.over});
  if (!end.near.empty()) verdict.warnings.push_back({ErrorCode::untrusted, subject, end.near});
  judge_witnesses(version, verdict);
}

void Registry::Impl::require_state() {
  bool damaged = false;  // told to whoever asks the log something, and by verify_all()
  try {
    all_facts();
  } catch (const LogError& error) {
    if (error.code() != ErrorCode::corrupt) throw;
    damaged = true;
  }
  const std::string subject = quote(paths.root.string());
  const auto refuse = [&](const std::string& why, const char* way_out) {
    if (!writable) throw Error(ErrorCode::untrusted, subject + ": " + why, way_out);
    notices.push_back(subject + ": " + why);
  };
  const StateAge state = damaged ? users_age() : age();
  const auto frozen = state.limit ? judge_age(state, subject).refusal : std::nullopt;
  if (frozen) {
    refuse(frozen->message,
           "ask who runs the registry; organ log renew signs what is still the newest state");
  }
  if (damaged) return;
  const EndVerdict end = end_of_key();
  if (!end.over.empty()) {
    refuse(end.over, "ask who runs the registry; organ log root --rotate hands over to a new key");
  }
  if (!end.near.empty()) notices.push_back(subject + ": " + end.near);
  for (const Cosigned& one : witnessed().cosigned) {
    if (!one.contradicts) continue;
    refuse("witness " + one.witness + ": " + one.problem,
           "ask who runs the registry, and the witness: one of them shows another history");
  }
}

void Registry::Impl::require_key_in_force() const {
  const std::string over = end_of_key().over;
  if (over.empty()) return;
  throw Error(ErrorCode::untrusted, quote(paths.root.string()) + ": " + over,
              "organ log root --rotate hands over to a new key");
}

std::optional<std::uint64_t> Registry::max_age() const { return impl_->age().limit; }

void Registry::renew(const Work& work) {
  const FileLock lock = impl_->lock_to_write(work);
  impl_->require_key_in_force();
  work.require_wanted();  // from here on it is completed
  impl_->log.renew(impl_->catalog.position());
}

LogRoot Registry::root() const { return impl_->root(); }

bool Registry::had_log_key(const std::string& key, std::uint64_t entries) const {
  return std::ranges::any_of(impl_->all_facts().roots(), [&](const RootSince& since) {
    return since.entry < entries && since.root.log_key == key;
  });
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

std::uint64_t Registry::apply_root(const std::string& note, const Work& work) {
  const FileLock lock = impl_->lock_to_write(work);
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
  const std::uint64_t index = impl_->commit(entry, work);
  try {
    impl_->log.hand_over(next.log_key);
  } catch (const Error& error) {
    impl_->notices.push_back("it is in the log; the next command that writes completes it: " +
                             error.message());
  }
  return index;
}

}  // namespace organ::registry
