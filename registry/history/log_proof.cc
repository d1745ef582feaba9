// SPDX-License-Identifier: Apache-2.0
#include "registry/history/log_proof.h"

#include <algorithm>
#include <iterator>
#include <set>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/manifest/manifest.h"
#include "registry/log/facts.h"
#include "registry/log/log.h"
#include "registry/log/merkle_proof.h"
#include "registry/notes/note.h"
#include "registry/registry_paths.h"
#include "registry/trust/freshness.h"
#include "registry/trust/known_logs.h"
#include "registry/trust/witnesses.h"

namespace organ::registry {
namespace {

constexpr std::uint64_t kProofVersion = 1;

// What the user knows of the log that the proof is about. Throws untrusted when its key is not to
// be believed.
std::optional<KnownLog> require_trusted(const LogProof& proof, const OpenOptions& trusted,
                                        std::string_view subject) {
  std::optional<KnownLog> known;
  if (!trusted.known_registries.empty()) {
    known = KnownLogs(trusted.known_registries).with_key(proof.log_key);
  }
  if (!trusted.log_key.empty() && proof.log_key != trusted.log_key) {
    fail(ErrorCode::untrusted, "{}: it is about the log of key {}, expected {}", subject,
         quote(proof.log_key), quote(trusted.log_key));
  }
  if (trusted.log_key.empty() && !known) {
    throw Error(ErrorCode::untrusted,
                fmt::format("{}: it is about the log of key {}, of no registry that you have met",
                            subject, quote(proof.log_key)),
                "--key says which key it must be, as the registry's owner tells it");
  }
  return known;
}

// The root that spoke for a log of so many entries.
const LogRoot& root_of(const KnownLog& known, std::uint64_t entries) {
  const std::vector<RootSince>& roots = known.facts.roots();
  auto at = std::prev(roots.end());
  while (at != roots.begin() && at->entry >= entries) --at;
  return at->root;
}

// Throws untrusted when what is known of the log contradicts the checkpoint. The note of the entry
// that hands over is signed by both keys.
void require_known(const KnownLog& known, const std::string& log_key, const Checkpoint& tree,
                   std::string_view subject) {
  const std::vector<RootSince>& roots = known.facts.roots();
  std::uint64_t last = UINT64_MAX;  // entries that the key speaks for
  for (std::size_t i = 0; i < roots.size(); ++i) {
    if (roots[i].root.log_key != log_key) continue;
    last = i + 1 < roots.size() ? roots[i + 1].entry + 1 : UINT64_MAX;
  }
  if (tree.size > last) {
    fail(ErrorCode::untrusted,
         "{}: it is about {} of the log, and its key handed over with entry {}", subject,
         counted(tree.size, "entry"), last - 1);
  }
  if (tree.size == known.end.entries() && tree.root != known.end.tree.root()) {
    fail(ErrorCode::untrusted, "{}: fork: the log of {} that you have seen is another one", subject,
         counted(tree.size, "entry"));
  }
}

void require_in_time(const std::optional<KnownLog>& known, const OpenOptions& trusted,
                     const LogProof& proof, std::optional<std::uint64_t> signed_at,
                     std::string_view subject) {
  const auto now = static_cast<std::uint64_t>(format::clock_seconds());
  auto limit = trusted.max_age;
  if (known) {
    const LogRoot& root = *known->facts.root();
    limit = stricter_limit(limit, stricter_limit(known->max_age, root.max_age));
    const std::string over = judge_end(root.expires, now).over;
    if (root.log_key == proof.log_key && !over.empty()) {
      fail(ErrorCode::untrusted, "{}: {}", subject, over);
    }
  }
  if (!limit) return;
  const auto frozen = judge_age({signed_at, now, limit}, std::string(subject)).refusal;
  if (!frozen) return;
  throw Error(ErrorCode::untrusted, fmt::format("{}: {}", subject, frozen->message),
              "organ log prove makes a newer one");
}

// Those of the demand that have cosigned it. Throws untrusted when too few have.
std::vector<std::string> require_witnessed(const SignedNote& note, const WitnessDemand& demand,
                                           std::string_view subject) {
  std::vector<std::string> by;
  std::set<std::string_view> keys;  // one under two names counts once
  for (const std::string& witness : demand.witnesses) {
    const bool is_new = keys.insert(key_part(witness)).second;
    if (is_new && NoteVerifier::parse(witness, "witness").find(note, subject)) {
      by.push_back(witness);
    }
  }
  if (by.size() < demand.quorum) {
    fail(ErrorCode::untrusted, "{}: cosigned by {} of {}, {} must have", subject, by.size(),
         counted(demand.witnesses.size(), "witness"), demand.quorum);
  }
  return by;
}

// The cosignatures of all notes that say the same. A note holds what anybody put there: only the
// lines of keys that count are taken, so that a reader takes them all.
struct Candidate {
  SignedNote note;
  std::uint64_t size = 0, witnesses = 0;
};

void add_note(std::vector<Candidate>& candidates, const std::string& text, std::uint64_t size,
              std::uint64_t witnesses, const std::vector<NoteVerifier>& of) {
  SignedNote note = SignedNote::parse(text, "checkpoint");
  std::erase_if(note.signatures, [&](const NoteSignature& signature) {
    return std::ranges::none_of(of, [&](const NoteVerifier& key) { return key.made(signature); });
  });
  for (Candidate& known : candidates) {
    if (known.note.text != note.text) continue;
    known.witnesses += witnesses;
    for (NoteSignature& signature : note.signatures) known.note.add(std::move(signature));
    return;
  }
  candidates.push_back({std::move(note), size, witnesses});
}

std::string best_checkpoint(const Log& log, const RegistryPaths& paths, const LogFacts& facts,
                            const SignedCheckpoint& newest, std::uint64_t index) {
  const auto key = NoteVerifier::parse(facts.root()->log_key, "log key");
  std::vector<Candidate> candidates;
  const auto timed = key.as(NoteKeyType::cosigner);  // its lines say when it signed
  add_note(candidates, newest.note, newest.tree.size, 0, {key, timed});
  const Witnessed seen =
      what_counts(log, paths.organ(), facts, static_cast<std::uint64_t>(format::clock_seconds()));
  for (const Cosigned& one : seen.cosigned) {
    if (!one.problem.empty()) continue;
    add_note(candidates, one.note, one.entries, 1,
             {key, timed, NoteVerifier::parse(one.witness, "witness")});
  }
  const Candidate* best = nullptr;
  for (const Candidate& one : candidates) {
    const bool serves = one.witnesses >= seen.root.quorum && one.size > index &&
                        one.size <= newest.tree.size &&
                        key.find(one.note, "checkpoint").has_value();
    if (serves && (best == nullptr || one.size > best->size)) best = &one;
  }
  // Without enough of them: the newest one, and what there is.
  return (best == nullptr ? candidates.front() : *best).note.to_string();
}

}  // namespace

std::string LogProof::to_text() const {
  Json path = Json::array();
  for (const Digest& hash : hashes) path.push_back(hash.to_string());
  return pretty_json({{"schema_version", kProofVersion},
                      {"log_key", log_key},
                      {"index", index},
                      {"entry", entry},
                      {"hashes", path},
                      {"checkpoint", checkpoint}});
}

LogProof LogProof::parse(std::string_view text, std::string_view subject) {
  const Json json = parse_json(text, {.bytes = kProofLimit, .depth = 3}, subject);
  const JsonObject object(json, std::string(subject));
  object.require_schema(kProofVersion, "a newer organ wrote it");
  object.allow_only({"checkpoint", "entry", "hashes", "index", "log_key", "schema_version"});
  LogProof proof;
  proof.log_key = object.string("log_key");
  proof.index = object.unsigned_integer("index");
  proof.entry = object.string("entry");
  proof.hashes = object.digests("hashes");
  proof.checkpoint = object.string("checkpoint");
  if (proof.hashes.size() > kLongestProof) {
    object.fail_field("hashes", fmt::format("has {} elements, at most {} make a proof",
                                            proof.hashes.size(), kLongestProof));
  }
  return proof;
}

LogProof prove_entry(const std::filesystem::path& registry, std::uint64_t index) {
  const RegistryPaths paths = find_registry(registry);
  const Log log(paths.organ());
  const std::string subject = quote(registry.string());
  LogProof proof{.log_key = {}, .index = index, .entry = {}, .hashes = {}, .checkpoint = {}};
  const SignedCheckpoint newest = log.signed_checkpoint();
  if (index >= newest.tree.size) {
    fail(ErrorCode::not_found, "{}: its log has no entry {}: there are {}, counted from 0", subject,
         index, newest.tree.size);
  }
  TreeHashes hashes;
  LogFacts facts;
  const LogScan scan = log.scan({}, [&](const LogPlace& place, const LogEntry& entry) {
    const std::string text = entry.to_text();
    hashes.append(merkle_leaf(text));
    facts.add(place.index, entry);
    if (place.index == index) proof.entry = text;
  });
  require_signed(log, scan.note, facts);
  proof.log_key = facts.root()->log_key;
  proof.checkpoint = best_checkpoint(log, paths, facts, newest, index);
  const std::uint64_t size =
      NoteVerifier::parse(proof.log_key, subject).open(proof.checkpoint, subject).size;
  proof.hashes = inclusion_proof(index, size, hashes.subtrees());
  check_proof(proof, {.log_key = proof.log_key}, subject);
  return proof;
}

ProvedEntry check_proof(const LogProof& proof, const OpenOptions& trusted, std::string_view subject,
                        const WitnessDemand& demand) {
  const std::optional<KnownLog> known = require_trusted(proof, trusted, subject);
  const auto key = NoteVerifier::parse(proof.log_key, fmt::format("{}: log key", subject));
  const Checkpoint signed_tree = key.open(proof.checkpoint, fmt::format("{}: checkpoint", subject));
  if (proof.index >= signed_tree.size) {
    fail(ErrorCode::corrupt, "{}: entry {} of a log of {}", subject, proof.index,
         counted(signed_tree.size, "entry"));
  }
  const auto root =
      root_from_inclusion(proof.index, signed_tree.size, merkle_leaf(proof.entry), proof.hashes);
  if (root != signed_tree.root) {
    fail(ErrorCode::corrupt,
         "{}: the entry and its {} do not lead to the root that the checkpoint signs", subject,
         counted(proof.hashes.size(), "hash"));
  }
  ProvedEntry proved{
      .entry = LogEntry::parse(proof.entry, fmt::format("{}: entry {}", subject, proof.index)),
      .entries = signed_tree.size,
      .signed_at = {},
      .witnesses = {}};
  if (known) {
    require_known(*known, proof.log_key, signed_tree, subject);
    proved.by_former_key = known->log_key != proof.log_key;
  }
  const SignedNote note = SignedNote::parse(proof.checkpoint, subject);
  proved.signed_at = key.as(NoteKeyType::cosigner).find(note, subject);
  require_in_time(known, trusted, proof, proved.signed_at, subject);
  WitnessDemand demanded = demand;
  if (known && demand.witnesses.empty()) {
    const LogRoot& spoke = root_of(*known, signed_tree.size);
    demanded = {.witnesses = spoke.witnesses, .quorum = spoke.quorum};
  }
  proved.witnesses = require_witnessed(note, demanded, subject);
  return proved;
}

}  // namespace organ::registry
