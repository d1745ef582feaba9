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
    facts.hide(entry.name, entry.version, index);
  }
}

}  // namespace

const Witnessed& Registry::Impl::witnessed() const {
  if (snapshots_ > 0) return witnessed_;
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
  return counts < all_.end.entries() ? counted_facts(counts) : all_.facts;
}

const LogFacts& Registry::Impl::counted_facts(std::uint64_t entries) const {
  const std::pair end(entries, all_.end.entries());
  if (counted_end_ == end) return counted_;
  LogFacts counted;
  const LogScan scan = log.scan({}, [&](const LogPlace& place, const LogEntry& entry) {
    if (place.index < entries) {
      counted.add(place.index, entry);
    } else if (place.index < end.second) {
      add_unwitnessed(place.index, entry, counted);
    }
  });
  require_signed(log, scan.note, all_facts());
  counted_ = std::move(counted);
  counted_end_ = end;
  return counted_;
}

void Registry::Impl::read_anchors() const {
  LogScan scan = log.scan(anchors_end_, [&](const LogPlace& place, const LogEntry& entry) {
    // An entry that claims to be older than one before it was made after that.
    anchors_time_ = std::max(anchors_time_, parse_moment(entry.time).value_or(UINT64_MAX));
    // Entered twice, the first time counts.
    for (const BlobRef& signature : entry.signatures) {
      anchors_.try_emplace(signature.digest, LogAnchor{place.index, anchors_time_});
    }
  });
  require_signed(log, scan.note, all_facts());
  anchors_end_ = std::move(scan.end);
}

std::vector<BlobRef> Registry::Impl::attached_to(const VersionInfo& version, Attached kind) const {
  std::vector<BlobRef> all = catalog.attached(version.log_index, kind);
  const std::uint64_t counts = writable ? UINT64_MAX : witnessed().entries;
  if (counts >= all_.end.entries() || version.log_index >= counts) return all;
  read_anchors();
  std::erase_if(all, [&](const BlobRef& bundle) {
    const auto at = anchors_.find(bundle.digest);
    return at == anchors_.end() || at->second.index >= counts;
  });
  return all;
}

SignatureAnchors Registry::Impl::anchors_of(const std::string& name,
                                            const std::optional<VersionInfo>& version,
                                            std::optional<std::uint64_t> now) const {
  if (policy().rule_for(name).limits.empty()) return {};
  read_anchors();
  std::map<std::string, LogAnchor> known;
  if (version) {
    for (const BlobRef& signature : catalog.attached(version->log_index)) {
      const auto anchor = anchors_.find(signature.digest);
      if (anchor == anchors_.end()) continue;
      try {
        const BlobRef manifest{version->digest, version->manifest_size};
        known.emplace(load_signature(blobs, signature, manifest, version->name).text,
                      anchor->second);
      } catch (const UnreadableBlob&) {
        continue;  // evaluate() tells
      } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) throw;  // evaluate() tells
      }
    }
  }
  if (now) now = std::max(*now, anchors_time_);
  return [known = std::move(known), now](const std::string& bundle) -> std::optional<LogAnchor> {
    if (const auto at = known.find(bundle); at != known.end()) return at->second;
    if (now) return LogAnchor{UINT64_MAX, *now};
    return std::nullopt;
  };
}

StateAge Registry::Impl::age() const {
  auto demanded = root().max_age;
  if (!writable) demanded = stricter_limit(demanded, witnessed().root.max_age);
  return {.signed_at = require_signed(log, log.signed_checkpoint().note, all_facts()),
          .now = seconds_now(),
          .limit = stricter_limit(demanded, stricter_limit(options_.max_age, max_age_))};
}

LogRoot Registry::Impl::root() const {
  const LogRoot* root = all_facts().root();
  if (root != nullptr) return *root;
  fail(ErrorCode::corrupt, "{}: its log does not begin with its key", quote(paths.root.string()));
}

EndVerdict Registry::Impl::end_of_key() const {
  std::string expires = root().expires;
  if (!writable) expires = earlier_end(expires, witnessed().root.expires);
  return judge_end(expires, seconds_now());
}

void Registry::Impl::judge_witnesses(const VersionInfo& version, TrustVerdict& verdict) const {
  const Witnessed& seen = witnessed();
  const std::string who =
      fmt::format("{} of {}", seen.root.quorum, counted(seen.root.witnesses.size(), "witness"));
  const std::string subject = version.name + ":" + version.version;
  for (const Cosigned& one : seen.cosigned) {
    if (one.problem.empty()) continue;
    (one.contradicts ? verdict.refusals : verdict.warnings)
        .push_back({ErrorCode::untrusted, "witness " + one.witness, one.problem});
  }
  if (seen.root.quorum == 0) return;
  if (version.log_index < seen.entries) {
    verdict.established.push_back(fmt::format("{} have cosigned the first {} of the log", who,
                                              counted(seen.entries, "entry")));
    return;
  }
  verdict.not_established.push_back("whether everybody is shown the same history");
  verdict.refusals.push_back(
      {ErrorCode::untrusted, subject,
       fmt::format("not witnessed: it is entry {} of the log, ", version.log_index) +
           (seen.entries == 0 ? fmt::format("which {} must have cosigned", who)
                              : fmt::format("of which {} have cosigned the first {}", who,
                                            counted(seen.entries, "entry")))});
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

std::vector<Registry::Impl::Objection> Registry::Impl::objections() const {
  std::vector<Objection> all;
  const StateAge state = age();
  if (state.limit) {
    if (const auto frozen = judge_age(state, {}).refusal) {
      all.push_back(
          {frozen->message,
           "ask who runs the registry; organ log renew signs what is still the newest state"});
    }
  }
  if (std::string over = end_of_key().over; !over.empty()) {
    all.push_back({std::move(over),
                   "ask who runs the registry; organ log root --rotate hands over to a new key"});
  }
  for (const Cosigned& one : witnessed().cosigned) {
    if (!one.contradicts) continue;
    all.push_back(
        {"witness " + one.witness + ": " + one.problem,
         "ask who runs the registry, and the witness: one of them shows another history"});
  }
  return all;
}

bool Registry::Impl::require_state() {
  try {
    all_facts();
  } catch (const LogError& error) {
    if (error.code() != ErrorCode::corrupt) throw;
    return false;  // told to whoever asks the log something, and by verify_all()
  }
  const std::string subject = quote(paths.root.string());
  const std::vector<Objection> all = objections();
  for (const Objection& one : all) {
    if (!writable) throw Error(ErrorCode::untrusted, subject + ": " + one.why, one.way_out);
    notices.push_back(subject + ": " + one.why);
  }
  const std::string near = end_of_key().near;
  if (!near.empty()) notices.push_back(subject + ": " + near);
  return all.empty();
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
  impl_->log.renew(impl_->catalog.position(), impl_->root().log_key);
}

LogRoot Registry::root() const { return impl_->root(); }

bool Registry::had_log_key(const std::string& key, std::uint64_t entries) const {
  return std::ranges::any_of(impl_->all_facts().roots(), [&](const RootSince& since) {
    return since.entry < entries && since.root.log_key == key;
  });
}

void Registry::Impl::require_none_waits() const {
  if (!log.next_key_waits()) return;
  throw Error(
      ErrorCode::conflict,
      quote((paths.organ() / "log.key.next").string()) +
          ": a next key of the log waits; a root that names it may be on its way",
      "organ log root --apply FILE makes that root the one in force; --discard-next takes a "
      "new key instead, and that root is worth nothing");
}

void Registry::Impl::keep_successor() const {
  if (!discards_waiting) require_none_waits();
  log.keep_next_key(*successor);
}

std::string Registry::prepare_log_key(Waiting waiting) {
  const FileLock lock = impl_->lock_to_write({});
  if (waiting == Waiting::stays) impl_->require_none_waits();
  impl_->successor = NoteSigner::generate();
  impl_->discards_waiting = waiting == Waiting::is_discarded;
  return impl_->successor->verifier_key(impl_->log.origin());
}

void Registry::keep_log_key() {
  check(impl_->successor.has_value(), "no next key of the log was prepared");
  const FileLock lock = impl_->lock_to_write({});
  impl_->keep_successor();
}

std::string Registry::sign_root(const LogRoot& next) {
  const FileLock lock = impl_->lock_to_write({});
  const std::string& origin = impl_->log.origin();
  SignedNote note{.text = root_note_text(next, origin), .signatures = {}};
  const LogRoot now = root();
  std::vector<std::string> keys = now.keys;
  keys.insert(keys.end(), next.keys.begin(), next.keys.end());
  impl_->log.sign_as(keys, now.log_key, note);
  if (impl_->successor) {
    const bool is_asked =
        std::ranges::find(keys, impl_->successor->verifier_key(origin)) != keys.end();
    if (is_asked) note.add(impl_->successor->sign(origin, note.text));
  }
  return note.to_string();
}

std::uint64_t Registry::apply_root(const std::string& note, const Work& work) {
  const FileLock lock = impl_->lock_to_write(work);
  const LogRoot now = root();
  const LogRoot next = next_root(now, note, impl_->log.origin(), "the new root");
  const bool hands_over = next.log_key != now.log_key;
  const bool is_prepared =
      impl_->successor && next.log_key == impl_->successor->verifier_key(impl_->log.origin());
  if (hands_over && !is_prepared && next.log_key != impl_->log.next_key()) {
    throw Error(ErrorCode::untrusted,
                fmt::format("the new root: its log key is {}, and this registry's next one is "
                            "another",
                            next.log_key),
                "organ log root --rotate makes the next key, and a root that names it");
  }
  LogEntry entry = entry_of(LogKind::root);
  entry.note = note;
  work.require_wanted();
  const bool is_written = hands_over && is_prepared && next.log_key != impl_->log.next_key();
  if (is_written) impl_->keep_successor();
  const std::uint64_t index = [&] {
    try {
      return impl_->commit(entry, work);
    } catch (const Error&) {
      if (is_written) impl_->log.drop_next_key();  // nothing names it
      throw;
    }
  }();
  impl_->successor.reset();
  try {
    impl_->log.hand_over(next.log_key);
  } catch (const Error& error) {
    impl_->notices.push_back("it is in the log; the next command that writes completes it: " +
                             error.message());
  }
  return index;
}

}  // namespace organ::registry
