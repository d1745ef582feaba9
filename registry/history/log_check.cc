// SPDX-License-Identifier: Apache-2.0
#include "registry/history/log_check.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "format/base/fail.h"
#include "format/base/path_status.h"
#include "format/manifest/manifest.h"
#include "registry/log/facts.h"
#include "registry/log/log.h"
#include "registry/log/merkle_proof.h"
#include "registry/log/moment.h"
#include "registry/notes/note.h"
#include "registry/registry_paths.h"
#include "registry/trust/freshness.h"
#include "registry/trust/known_logs.h"
#include "registry/trust/witnesses.h"
#include "registry/views.h"

namespace organ::registry {
namespace {

constexpr char kLogSubject[] = "organ/log";

// What an entry may refer to: the versions that were published before it.
class Versions {
 public:
  std::uint64_t count() const { return published_.size(); }

  // Why the entry contradicts those before it; empty: it does not.
  std::string add(const LogPlace& place, const LogEntry& entry) {
    if (entry.version.empty()) return {};
    const std::string version = entry.name + ":" + entry.version;
    const auto known = published_.find(version);
    if (entry.kind == LogKind::publish) {
      if (known != published_.end()) {
        return fmt::format("silent re-tag: {} was published at entry {} already", version,
                           known->second.index);
      }
      published_.emplace(version, Published{place.index, entry.manifest->digest});
      return {};
    }
    if (known == published_.end()) return version + " was never published";
    if (entry.manifest && entry.manifest->digest != known->second.manifest) {
      return fmt::format(
          "silent re-tag: names {} as the manifest of {}, which was published with {}",
          entry.manifest->digest.to_string(), version, known->second.manifest.to_string());
    }
    return {};
  }

 private:
  struct Published {
    std::uint64_t index;
    Digest manifest;
  };
  std::map<std::string, Published> published_;
};

// Entries whose time lies before that of an entry before them. What was entered when follows from
// the largest time up to it, so none of them gains by it.
class Clock {
 public:
  void add(const LogPlace& place, const LogEntry& entry) {
    const std::uint64_t time = parse_moment(entry.time).value_or(0);
    if (time < latest_ && count_++ == 0) {
      first_ = fmt::format("entry {} says {}, an entry before it {}", place.index,
                           escape_text(entry.time), moment_text(latest_));
    }
    latest_ = std::max(latest_, time);
  }
  void tell(LogCheck& check) const {
    if (count_ == 0) return;
    check.notes.push_back(
        fmt::format("the time goes back in {} of its entries, which count as if made at the "
                    "largest time before them: {}",
                    count_, first_));
  }

 private:
  std::uint64_t latest_ = 0, count_ = 0;
  std::string first_;
};

// Every entry; the hashes of all when the whole log is good.
TreeHashes read_entries(const Log& log, const Work& work, LogFacts& facts, LogCheck& check) {
  TreeHashes hashes;
  Versions versions;
  Clock clock;
  collect(check.findings, kLogSubject, [&] {
    const std::uint64_t entries = log.checkpoint().size;
    const Work reading = work.phase("reading the log", entries, Unit::items);
    const LogScan scan = log.scan({}, [&](const LogPlace& place, const LogEntry& entry) {
      hashes.append(merkle_leaf(entry.to_text()));
      facts.add(place.index, entry);
      clock.add(place, entry);
      if (const std::string why = versions.add(place, entry); !why.empty()) {
        check.findings.push_back(
            {ErrorCode::corrupt, kLogSubject,
             fmt::format("entry {} ({}): {}", place.index, to_string(entry.kind), why)});
      }
      reading.advance(1);
    });
    check.root = scan.checkpoint.root;
    check.signed_at = require_signed(log, scan.note, facts);
    clock.tell(check);
    check.speaks = *facts.root();
    check.log_key = check.speaks->log_key;
    if (scan.beyond > 0) {
      check.notes.push_back("organ/log: ends with what a writer left; the next one completes it");
    }
  });
  check.entries = hashes.tree().size();
  check.versions = versions.count();
  return hashes;
}

void refuse(LogCheck& check, std::string why) {
  check.findings.push_back({ErrorCode::untrusted, kLogSubject, std::move(why)});
}

void compare(const KnownLog& known, const TreeHashes& hashes, LogCheck& check) {
  const TreeHead seen{known.end.entries(), known.end.tree.root()};
  const TreeHead now{check.entries, check.root};
  if (seen.size > now.size) {
    refuse(check, fmt::format("rollback: seen with {} since {}, now with {}",
                              counted(seen.size, "entry"), known.since, now.size));
    return;
  }
  std::vector<Digest> proof;
  if (seen.size > 0) proof = consistency_proof(seen.size, now.size, hashes.subtrees());
  if (!is_beginning(seen, now, proof)) {
    refuse(check, fmt::format("fork: since {} seen with {} and root {}, which is "
                              "not the beginning of this log",
                              known.since, counted(seen.size, "entry"), seen.root.hex()));
    return;
  }
  check.remembered = {known.since, seen.size, seen.root, std::move(proof)};
}

// After what was remembered was compared.
std::optional<KnownLogs::Met> meet_it(const RegistryPaths& paths, const Log& log,
                                      const OpenOptions& options, LogCheck& check) {
  std::optional<KnownLogs::Met> met;
  collect(check.findings, kLogSubject, [&] {
    met = meet(paths, log, options);
    if (!met) {
      check.notes.push_back("nothing is remembered of registries: neither rollback nor fork shows");
      return;
    }
    if (met->first_use) {
      check.notes.push_back("is met for the first time; its log key is " + met->known.log_key);
    }
    std::ranges::copy(met->news, std::back_inserter(check.notes));
  });
  return met;
}

void remember(const Log& log, const OpenOptions& options, KnownLogs::Met& met, LogCheck& check) {
  collect(check.findings, kLogSubject, [&] {
    const std::string why = KnownLogs(options.known_registries).keep(log, met);
    if (!why.empty()) {
      check.notes.push_back("what was seen of it could not be remembered: " + why);
    }
  });
}

// The root that is witnessed.
LogRoot ask_witnesses(const RegistryPaths& paths, const Log& log, const LogFacts& facts,
                      std::uint64_t now, LogCheck& check) {
  const Witnessed seen = what_counts(log, paths.organ(), facts, now);
  check.witnessed = std::min(check.entries, seen.entries);
  for (const Cosigned& one : seen.cosigned) {
    check.witnesses.push_back({one.witness, one.entries, one.time, one.problem});
    if (one.contradicts) refuse(check, "witness " + one.witness + ": " + one.problem);
  }
  if (check.witnessed < check.entries) {
    const std::string who =
        fmt::format("{} of {}", seen.root.quorum, counted(seen.root.witnesses.size(), "witness"));
    check.notes.push_back(
        check.witnessed == 0
            ? fmt::format("no entry counts yet: {} must have cosigned it", who)
            : fmt::format("{} have cosigned the first {} of {}: the others do not count yet", who,
                          check.witnessed, counted(check.entries, "entry")));
  }
  return seen.root;
}

// By the stricter of the newest root and of the one that is witnessed.
void judge_freshness(const LogRoot& witnessed, std::uint64_t now, LogCheck& check) {
  check.max_age =
      stricter_limit(check.max_age, stricter_limit(check.speaks->max_age, witnessed.max_age));
  AgeVerdict verdict = judge_age({check.signed_at, now, check.max_age}, kLogSubject);
  if (verdict.refusal) check.findings.push_back(*std::move(verdict.refusal));
  if (verdict.warning) check.notes.push_back(verdict.warning->message);
  const EndVerdict end = judge_end(earlier_end(check.speaks->expires, witnessed.expires), now);
  if (!end.over.empty()) refuse(check, end.over);
  if (!end.near.empty()) check.notes.push_back(end.near);
}

}  // namespace

LogCheck check_log(const std::filesystem::path& registry, const OpenOptions& options,
                   const Work& work) {
  LogCheck check;
  const RegistryPaths paths = find_registry(registry);
  std::optional<Log> log;
  collect(check.findings, "organ/trust/log.vkey", [&] { log.emplace(paths.organ()); });
  if (!log) return check;
  check.log_key = log->verifier_key();
  std::optional<KnownLog> known;
  check.max_age = options.max_age;
  if (!options.known_registries.empty() && !options.forget_seen) {
    known = KnownLogs(options.known_registries).recall(real_path(paths.root));
    if (known) check.max_age = stricter_limit(check.max_age, known->max_age);
  }
  LogFacts facts;
  const TreeHashes hashes = read_entries(*log, work, facts, check);
  if (!check.findings.empty()) return check;
  // With another origin it is another registry, which meeting it says.
  const bool same_log =
      known && NoteVerifier::parse(known->log_key, "known log key").name() == log->origin();
  if (same_log) compare(*known, hashes, check);
  std::optional<KnownLogs::Met> met;
  if (check.findings.empty()) met = meet_it(paths, *log, options, check);
  collect(check.findings, kLogSubject, [&] {
    const auto now = static_cast<std::uint64_t>(format::clock_seconds());
    judge_freshness(ask_witnesses(paths, *log, facts, now, check), now, check);
  });
  if (met && check.findings.empty()) remember(*log, options, *met, check);
  return check;
}

}  // namespace organ::registry
