// SPDX-License-Identifier: Apache-2.0
#include "registry/history/cosign.h"

#include <algorithm>
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
  if (!met->not_saved.empty()) {
    fail(ErrorCode::io, "what was seen of {} could not be remembered: {}",
         quote(paths.root.string()), met->not_saved);
  }
  return *std::move(met);
}

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

// A witness's newer word is not taken back by an older one.
void drop_outdated(const Log& log, const std::filesystem::path& organ, const Checkpoint& tree,
                   std::vector<std::string>& witnesses) {
  LogRoot root;
  root.witnesses = witnesses;
  const auto now = static_cast<std::uint64_t>(format::clock_seconds());
  for (const Cosigned& one : read_cosigned(log, organ, root, now, Ages::do_not)) {
    if (one.problem.empty() && one.entries > tree.size) std::erase(witnesses, one.witness);
  }
  if (witnesses.empty()) {
    fail(ErrorCode::conflict,
         "the cosigned note: is about {} entries, and who cosigned it has "
         "cosigned more since",
         tree.size);
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
  std::vector<std::string> by;
  for (const std::string& witness : witnesses) {
    if (NoteVerifier::parse(witness, "witness").find(parsed, "the cosigned note")) {
      by.push_back(witness);
    }
  }
  if (by.empty()) {
    throw Error(ErrorCode::untrusted,
                fmt::format("the cosigned note: none of the {} witnesses of the log's root has "
                            "cosigned it",
                            witnesses.size()),
                "organ log root --witness names them");
  }
  const Checkpoint tree = parse_checkpoint(parsed.text, "the cosigned note");
  require_beginning(log, tree);
  drop_outdated(log, paths.organ(), tree, by);
  create_folders(witness_folder(paths.organ()), Rights::folder);
  for (const std::string& witness : by) {
    write_file(witness_file(paths.organ(), witness), note, AtomicFile::Mode::replace, 0666,
               Rights::folder);
  }
  return by;
}

}  // namespace organ::registry
