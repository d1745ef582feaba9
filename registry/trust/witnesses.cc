// SPDX-License-Identifier: Apache-2.0
#include "registry/trust/witnesses.h"

#include <algorithm>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "registry/log/moment.h"
#include "registry/notes/note.h"

namespace organ::registry {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kNoLimit = UINT64_MAX;

// Reads what one witness left; nothing when it left nothing.
std::optional<Cosigned> read_one(const fs::path& organ, const std::string& witness,
                                 const std::string& origin, Checkpoint& tree) {
  const fs::path path = witness_file(organ, witness);
  if (!is_taken(path)) return std::nullopt;
  Cosigned cosigned{.witness = witness, .note = {}, .problem = {}};
  try {
    const std::string subject = quote(path.string());
    cosigned.note = read_file(path, kNoteLimit, Symlinks::refuse);
    const SignedNote note = SignedNote::parse(cosigned.note, subject);
    const auto time = NoteVerifier::parse(witness, subject).find(note, subject);
    if (!time) fail(ErrorCode::untrusted, "{}: no cosignature of {}", subject, witness);
    tree = parse_checkpoint(note.text, subject);
    if (tree.origin != origin) {
      fail(ErrorCode::untrusted, "{}: is about the log {}", subject, quote(tree.origin));
    }
    cosigned.entries = tree.size;
    cosigned.time = *time;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled || error.code() == ErrorCode::internal) throw;
    cosigned.problem = error.message();  // one that nobody can read counts for nothing
  }
  return cosigned;
}

// Whether `first` is the beginning of what the log's checkpoint covers: by log.tree, which need not
// tell the truth, else by the log itself.
bool begins(const Log& log, const TreeHead& first, const TreeHead& covered) {
  if (first.size == 0 || first.size > covered.size) return false;
  bool is_begun = false;
  log.read_tree([&](const SubtreeRoots& subtrees) {
    is_begun = is_beginning(first, covered, consistency_proof(first.size, covered.size, subtrees));
  });
  if (is_begun) return true;
  MerkleTree tree;
  std::optional<Digest> root;
  log.scan({}, [&](const LogPlace&, const LogEntry& entry) {
    if (tree.size() == covered.size) return;
    tree.append(merkle_leaf(entry.to_text()));
    if (tree.size() == first.size) root = tree.root();
  });
  return root == first.root && tree.size() == covered.size && tree.root() == covered.root;
}

void judge(const Log& log, const Checkpoint& tree, const Checkpoint& covered, std::uint64_t max_age,
           std::uint64_t now, Cosigned& cosigned) {
  if (tree.size > covered.size) {
    cosigned.contradicts = true;
    cosigned.problem = fmt::format("rollback: it has cosigned {}, and the log shows {}",
                                   counted(tree.size, "entry"), covered.size);
  } else if (!begins(log, {tree.size, tree.root}, {covered.size, covered.root})) {
    cosigned.contradicts = true;
    cosigned.problem = fmt::format(
        "fork: it has cosigned {} with root {}, which is not the beginning of "
        "this log",
        counted(tree.size, "entry"), tree.root.hex());
  } else if (cosigned.time > now + kDay) {
    cosigned.problem = "it has cosigned at a time that is yet to come";
  } else if (now > cosigned.time && now - cosigned.time > max_age) {
    cosigned.problem = fmt::format("it has cosigned at {}, more than {} ago",
                                   moment_text(cosigned.time), span_text(max_age));
  }
}

}  // namespace

fs::path witness_folder(const fs::path& organ) { return organ / "witness"; }

fs::path witness_file(const fs::path& organ, const std::string& verifier_key) {
  return witness_folder(organ) / sha256(verifier_key).hex();
}

std::vector<Cosigned> read_cosigned(const Log& log, const fs::path& organ, const LogRoot& root,
                                    std::uint64_t now, Ages ages) {
  std::vector<Cosigned> all;
  std::vector<Checkpoint> trees;
  for (const std::string& witness : root.witnesses) {
    Checkpoint tree;
    if (auto one = read_one(organ, witness, log.origin(), tree)) {
      all.push_back(*std::move(one));
      trees.push_back(std::move(tree));
    }
  }
  if (all.empty()) return all;
  // Only now: a witness cosigns what is there already, so the log shows as much by now.
  const Checkpoint covered = log.checkpoint();
  const std::uint64_t max_age = ages == Ages::count ? root.max_age.value_or(kNoLimit) : kNoLimit;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].problem.empty()) judge(log, trees[i], covered, max_age, now, all[i]);
  }
  return all;
}

void require_beginning(const Log& log, const Checkpoint& checkpoint, const Checkpoint& covered) {
  Cosigned one{.witness = {}, .note = {}, .problem = {}};
  if (checkpoint.origin != log.origin()) {
    fail(ErrorCode::untrusted, "the checkpoint: is about the log {}, expected {}",
         quote(checkpoint.origin), quote(log.origin()));
  }
  judge(log, checkpoint, covered, kNoLimit, 0, one);
  if (!one.problem.empty()) fail(ErrorCode::untrusted, "the checkpoint: {}", one.problem);
}

std::uint64_t covered_entries(const std::vector<Cosigned>& cosigned, std::uint64_t quorum) {
  std::vector<std::uint64_t> sizes;
  for (const Cosigned& one : cosigned) {
    if (one.problem.empty()) sizes.push_back(one.entries);
  }
  if (quorum == 0) return UINT64_MAX;
  if (sizes.size() < quorum) return 0;
  std::ranges::sort(sizes, std::ranges::greater());
  return sizes[static_cast<std::size_t>(quorum - 1)];
}

Witnessed what_counts(const Log& log, const fs::path& organ, const LogFacts& facts,
                      std::uint64_t now) {
  Witnessed witnessed;
  const std::vector<RootSince>& roots = facts.roots();
  if (roots.empty()) return witnessed;
  std::size_t at = 0;
  for (; at + 1 < roots.size(); ++at) {
    // Those who witnessed the step need not go on witnessing.
    const LogRoot& root = roots[at].root;
    const std::uint64_t covered =
        covered_entries(read_cosigned(log, organ, root, now, Ages::do_not), root.quorum);
    if (roots[at + 1].entry >= covered) break;
  }
  witnessed.root = roots[at].root;
  witnessed.cosigned = read_cosigned(log, organ, witnessed.root, now);
  witnessed.entries = covered_entries(witnessed.cosigned, witnessed.root.quorum);
  return witnessed;
}

}  // namespace organ::registry
