// SPDX-License-Identifier: Apache-2.0
#include "registry/history/cosign.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "format/manifest/manifest.h"
#include "registry/log/facts.h"
#include "registry/log/log.h"
#include "registry/notes/note.h"
#include "registry/registry_paths.h"
#include "registry/trust/known_logs.h"
#include "registry/trust/witnesses.h"

namespace organ::registry {
namespace {

constexpr int kTries = 10;

KnownLogs::Met meet_or_fail(const RegistryPaths& paths, const Log& log,
                            const OpenOptions& options) {
  auto met = meet(paths, log, options);
  if (!met) {
    throw Error(ErrorCode::invalid_argument,
                "a witness remembers what it has seen, and here nothing is remembered",
                "set HOME or XDG_CONFIG_HOME");
  }
  const std::string subject = quote(paths.root.string());
  const auto now = static_cast<std::uint64_t>(format::clock_seconds());
  for (const Cosigned& one : what_counts(log, paths.organ(), met->known.facts, now).cosigned) {
    if (!one.contradicts) continue;
    fail(ErrorCode::untrusted, "{}: witness {}: {}", subject, one.witness, one.problem);
  }
  const std::string why = KnownLogs(options.known_registries).keep(log, *met);
  if (!why.empty()) {
    fail(ErrorCode::io, "what was seen of {} could not be remembered: {}", subject, why);
  }
  return *std::move(met);
}

// What this user has cosigned of a log, whatever the key: the newest note, by the log's origin. One
// process at a time.
class CosignedNotes {
 public:
  CosignedNotes(const std::filesystem::path& known_registries, const std::string& origin)
      : folder_(known_registries / "cosigned"), path_(folder_ / sha256(origin).hex()) {
    create_folders(folder_, Rights::owner);
    lock_.emplace(folder_ / "lock", FileLock::Kind::exclusive);
  }

  // Throws untrusted unless `checkpoint`, of `log`, goes on from it; then it is the newest one.
  void go_on(const Log& log, const SignedCheckpoint& checkpoint) const {
    if (is_taken(path_)) {
      const std::string subject = quote(path_.string());
      const std::string text = read_file(path_, kNoteLimit);
      const Checkpoint last = parse_checkpoint(SignedNote::parse(text, subject).text, subject);
      try {
        require_beginning(log, last, checkpoint.tree);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::untrusted) throw;
        throw Error(ErrorCode::untrusted,
                    fmt::format("the first {} of the log {} had been cosigned, and what is here "
                                "does not go on from there: {}",
                                counted(last.size, "entry"), last.origin, error.message()),
                    "a witness cosigns one history of a log: ask who runs the registry");
      }
    }
    write_file(path_, checkpoint.note, AtomicFile::Mode::replace, 0600);
  }

 private:
  std::filesystem::path folder_, path_;
  std::optional<FileLock> lock_;
};

// Those of former roots too: they consent to a root that goes on without them.
std::vector<std::string> witnesses_of(const LogFacts& facts) {
  std::vector<std::string> all;
  for (const RootSince& since : facts.roots()) {
    for (const std::string& witness : since.root.witnesses) {
      if (std::ranges::find(all, witness) == all.end()) all.push_back(witness);
    }
  }
  return all;
}

bool is_at(const SignedCheckpoint& checkpoint, const LogPosition& position) {
  return checkpoint.tree.size == position.entries() && checkpoint.tree.root == position.tree.root();
}

// By witness, in seconds since 1970.
using CosignTimes = std::map<std::string, std::uint64_t>;

// A witness's newer word is not taken back by an older one.
void drop_outdated(const Log& log, const std::filesystem::path& organ, const Checkpoint& tree,
                   CosignTimes& witnesses) {
  LogRoot root;
  for (const auto& [witness, time] : witnesses) root.witnesses.push_back(witness);
  const auto now = static_cast<std::uint64_t>(format::clock_seconds());
  for (const Cosigned& one : read_cosigned(log, organ, root, now, Ages::do_not)) {
    if (!one.problem.empty()) continue;
    const std::pair there(one.entries, one.time);
    if (there > std::pair(tree.size, witnesses.at(one.witness))) witnesses.erase(one.witness);
  }
  if (witnesses.empty()) {
    fail(ErrorCode::conflict,
         "the cosigned note: is about {}, and who cosigned it has "
         "cosigned more, or the same, since",
         counted(tree.size, "entry"));
  }
}

}  // namespace

MetLog meet_as_witness(const std::filesystem::path& registry, const OpenOptions& options) {
  const RegistryPaths paths = find_registry(registry);
  const Log log(paths.organ());
  KnownLogs::Met met = meet_or_fail(paths, log, options);
  MetLog seen{.witnesses = witnesses_of(met.known.facts),
              .entries = met.known.end.entries(),
              .notes = std::move(met.news)};
  if (met.first_use) {
    seen.notes.push_back("is met for the first time; its log key is " + met.known.log_key);
  }
  return seen;
}

NewCosignature cosign(const std::filesystem::path& registry, const OpenOptions& options,
                      const NoteSigner& key, const std::string& name) {
  const RegistryPaths paths = find_registry(registry);
  const Log log(paths.organ());
  for (int i = 0; i < kTries; ++i) {
    const KnownLogs::Met met = meet_or_fail(paths, log, options);
    const SignedCheckpoint checkpoint = log.signed_checkpoint();
    if (!is_at(checkpoint, met.known.end)) continue;  // it grew in between
    require_signed(log, checkpoint.note, met.known.facts);
    CosignedNotes(options.known_registries, log.origin()).go_on(log, checkpoint);
    SignedNote note = SignedNote::parse(checkpoint.note, "checkpoint");
    const auto time = static_cast<std::uint64_t>(format::clock_seconds());
    note.signatures.push_back(key.cosign(name, note.text, time));
    return {checkpoint.tree.size, time, note.to_string()};
  }
  fail(ErrorCode::conflict, "{}: its log grows faster than it can be read",
       quote(paths.root.string()));
}

std::vector<std::string> keep_cosignature(const std::filesystem::path& registry,
                                          const std::string& note) {
  if (note.size() > kNoteLimit) {
    fail(ErrorCode::invalid_argument, "the cosigned note: has {} bytes, at most {} are read",
         note.size(), kNoteLimit);
  }
  const RegistryPaths paths = find_registry(registry);
  const Log log(paths.organ());
  LogFacts facts;
  add_facts(log, {}, facts);
  const std::vector<std::string> witnesses = witnesses_of(facts);
  const SignedNote parsed = SignedNote::parse(note, "the cosigned note");
  CosignTimes by;
  for (const std::string& witness : witnesses) {
    const auto time = NoteVerifier::parse(witness, "witness").find(parsed, "the cosigned note");
    if (time) by.emplace(witness, *time);
  }
  if (by.empty()) {
    throw Error(ErrorCode::untrusted,
                fmt::format("the cosigned note: none of the {} of the log's root has "
                            "cosigned it",
                            counted(witnesses.size(), "witness")),
                "organ log root --witness names them");
  }
  const Checkpoint tree = parse_checkpoint(parsed.text, "the cosigned note");
  require_beginning(log, tree, log.checkpoint());
  drop_outdated(log, paths.organ(), tree, by);
  create_folders(witness_folder(paths.organ()), Rights::folder);
  std::vector<std::string> kept;
  for (const auto& [witness, time] : by) {
    write_file(witness_file(paths.organ(), witness), note, AtomicFile::Mode::replace, 0666,
               Rights::folder);
    kept.push_back(witness);
  }
  return kept;
}

}  // namespace organ::registry
