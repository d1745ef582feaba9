// SPDX-License-Identifier: Apache-2.0
// The notes of a log, and the keys that sign them: organ/log.key, beside it for a while
// organ/log.key.next, and organ/trust/log.vkey, which says which one is to be believed at first
// sight.
#include <unistd.h>

#include <algorithm>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "format/manifest/manifest.h"
#include "registry/log/log.h"
#include "registry/notes/note.h"

namespace organ::registry {

namespace fs = std::filesystem;

namespace {

constexpr char kOriginPrefix[] = "organ-registry/";

fs::path verifier_path(const fs::path& folder) { return folder / "trust" / "log.vkey"; }
fs::path key_path(const fs::path& folder) { return folder / "log.key"; }
fs::path next_key_path(const fs::path& folder) { return folder / "log.key.next"; }

NoteVerifier load_verifier(const fs::path& folder) {
  const fs::path path = verifier_path(folder);
  std::string text = read_file(path, kNoteLimit, Symlinks::refuse);
  if (text.ends_with('\n')) text.pop_back();
  NoteVerifier verifier = NoteVerifier::parse(text, quote(path.string()));
  if (verifier.type() != NoteKeyType::ed25519) {
    fail(ErrorCode::corrupt, "{}: not the key of a log", quote(path.string()));
  }
  return verifier;
}

NoteSigner load_signer(const fs::path& path) {
  return NoteSigner::load(path, {}, NoteSigner::Readers::group);
}

}  // namespace

Log Log::create(const fs::path& folder, const std::string& time) {
  const NoteSigner signer = NoteSigner::generate();
  const std::string verifier = signer.verifier_key(signer.name_below(kOriginPrefix));
  signer.save(key_path(folder));
  write_file(verifier_path(folder), verifier + "\n", AtomicFile::Mode::create_new);
  write_file(folder / "log", "", AtomicFile::Mode::create_new);
  Log log(folder);
  log.write_note({signer}, {}, NoteKind::checkpoint);
  LogEntry entry;
  entry.kind = LogKind::key;
  entry.time = time;
  entry.action = "log_key";
  entry.key = verifier;
  log.append({}, entry);
  return log;
}

Log::Log(fs::path folder) : folder_(std::move(folder)), verifier_(load_verifier(folder_)) {}

SignedCheckpoint Log::open_checkpoint() const {
  const fs::path path = folder_ / "checkpoint";
  const std::string subject = quote(path.string());
  std::string note = read_file(path, kNoteLimit, Symlinks::refuse);
  if (last_ && last_->note == note) return *last_;
  const Checkpoint tree = verifier_.open(note, subject);
  const auto time =
      verifier_.as(NoteKeyType::cosigner).find(SignedNote::parse(note, subject), subject);
  last_ = SignedCheckpoint{tree, std::move(note), time};
  return *last_;
}

// Whether another key of this log was pinned since; it may only be if the entries say so, which
// add_facts looks at.
bool Log::pin_again() const {
  NoteVerifier now = load_verifier(folder_);
  if (now.name() != verifier_.name() || now.to_string() == verifier_.to_string()) return false;
  verifier_ = std::move(now);
  last_.reset();
  return true;
}

SignedCheckpoint Log::signed_checkpoint() const {
  try {
    return open_checkpoint();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::untrusted || !pin_again()) throw;
    return open_checkpoint();
  }
}

Checkpoint Log::checkpoint() const { return signed_checkpoint().tree; }

bool Log::is_pending(const MerkleTree& tree) const {
  const fs::path path = folder_ / "pending";
  try {
    const Checkpoint pending = verifier_.open(read_file(path, kNoteLimit, Symlinks::refuse),
                                              quote(path.string()), NoteKind::pending);
    return pending.size == tree.size() && pending.root == tree.root();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::io) throw;
    return false;  // absent, torn or somebody else's: it covers nothing
  }
}

bool Log::is_writable() const {
  return ::access(folder_.c_str(), W_OK) == 0 && ::access((folder_ / "log").c_str(), W_OK) == 0 &&
         ::access(key_path(folder_).c_str(), R_OK) == 0;
}

std::vector<NoteSigner> Log::signers() const {
  std::vector<NoteSigner> keys{load_signer(key_path(folder_))};
  if (is_taken(next_key_path(folder_))) keys.push_back(load_signer(next_key_path(folder_)));
  const auto is_pinned = [&](const NoteSigner& key) {
    return key.verifier_key(verifier_.name()) == verifier_.to_string();
  };
  if (std::ranges::none_of(keys, is_pinned) &&
      !(pin_again() && std::ranges::any_of(keys, is_pinned))) {
    fail(ErrorCode::untrusted, "{}: not the key that {} pins", quote(key_path(folder_).string()),
         quote(verifier_path(folder_).string()));
  }
  return keys;
}

void Log::write_note(const std::vector<NoteSigner>& signers, const MerkleTree& tree,
                     NoteKind kind) const {
  const std::string& origin = verifier_.name();
  SignedNote note{.text = checkpoint_text({origin, tree.size(), tree.root()}, kind),
                  .signatures = {}};
  const auto now = static_cast<std::uint64_t>(format::clock_seconds());
  for (const NoteSigner& signer : signers) {
    note.signatures.push_back(signer.sign(origin, note.text));
    if (kind == NoteKind::checkpoint) {
      note.signatures.push_back(signer.cosign(origin, note.text, now));
    }
  }
  write_file(folder_ / (kind == NoteKind::pending ? "pending" : "checkpoint"), note.to_string(),
             AtomicFile::Mode::replace, 0666, Rights::folder);
}

void Log::renew(const LogPosition& end) const {
  check(covers(end.tree), "the log grew under the write lock");
  write_note(signers(), end.tree, NoteKind::checkpoint);
}

std::optional<std::string> Log::next_key() const {
  const fs::path path = next_key_path(folder_);
  if (!is_taken(path)) return std::nullopt;
  return load_signer(path).verifier_key(verifier_.name());
}

// What lies there is never taken over: whoever may write the folder could have put it there.
std::string Log::prepare_key() const {
  const NoteSigner key = NoteSigner::generate();
  remove_path(next_key_path(folder_));
  key.save(next_key_path(folder_), {}, NoteSigner::Readers::group);
  return key.verifier_key(verifier_.name());
}

void Log::sign_as(const std::vector<std::string>& keys, SignedNote& note) const {
  for (const NoteSigner& signer : signers()) {
    const std::string key = signer.verifier_key(verifier_.name());
    if (std::ranges::find(keys, key) == keys.end()) continue;
    NoteSignature signature = signer.sign(verifier_.name(), note.text);
    if (std::ranges::find(note.signatures, signature) == note.signatures.end()) {
      note.signatures.push_back(std::move(signature));
    }
  }
}

// Pinned first: a crash in between leaves two keys of which one is pinned, which is enough to sign.
void Log::hand_over(const std::string& log_key) {
  const bool waits = next_key() == log_key;
  if (!waits) {
    if (verifier_.to_string() == log_key) return;
    if (pin_again() && verifier_.to_string() == log_key) return;
    fail(ErrorCode::untrusted, "{}: neither it nor log.key.next is the key that the log names, {}",
         quote(key_path(folder_).string()), log_key);
  }
  write_file(verifier_path(folder_), log_key + "\n", AtomicFile::Mode::replace, 0666,
             Rights::folder);
  rename_path(next_key_path(folder_), key_path(folder_));
  sync_folder(folder_);
  last_.reset();
  verifier_ = NoteVerifier::parse(log_key, "log key");
}

}  // namespace organ::registry
