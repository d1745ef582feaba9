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

std::optional<NoteSigner> load_next(const fs::path& folder) {
  if (!is_taken(next_key_path(folder))) return std::nullopt;
  try {
    return load_signer(next_key_path(folder));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::untrusted) throw;
    return std::nullopt;  // anybody may put something there; it stands in nobody's way
  }
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
  log.append({}, entry, verifier);
  return log;
}

Log::Log(fs::path folder) : folder_(std::move(folder)), verifier_(load_verifier(folder_)) {}

SignedCheckpoint Log::open_checkpoint() const {
  const fs::path path = folder_ / "checkpoint";
  const std::string subject = quote(path.string());
  std::string note = read_file(path, kNoteLimit, Symlinks::refuse);
  if (last_ && last_->note == note) return *last_;
  const Checkpoint tree = verifier_.open(note, subject);
  last_ = SignedCheckpoint{tree, std::move(note)};
  return *last_;
}

std::optional<std::uint64_t> Log::signed_at(const std::string& log_key,
                                            const std::string& note) const {
  if (opened_ && opened_->log_key == log_key && opened_->note == note) return opened_->time;
  const std::string subject = quote((folder_ / "checkpoint").string());
  const NoteVerifier key = NoteVerifier::parse(log_key, "the log's key");
  key.open(note, subject);
  const auto time = key.as(NoteKeyType::cosigner).find(SignedNote::parse(note, subject), subject);
  opened_ = Opened{log_key, note, time};
  return time;
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

// Never the pinned key's word: whoever may write the folder can pin another one.
bool Log::is_pending(const MerkleTree& tree, const std::string& log_key) const {
  const fs::path path = folder_ / "pending";
  try {
    const Checkpoint pending = NoteVerifier::parse(log_key, "the log's key")
                                   .open(read_file(path, kNoteLimit, Symlinks::refuse),
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

// The next key may sign in place of log.key only when the newest root has it for the log's key.
std::vector<NoteSigner> Log::signers(const std::string& log_key) const {
  std::vector<NoteSigner> keys{load_signer(key_path(folder_))};
  if (auto next = load_next(folder_)) keys.push_back(*std::move(next));
  const auto speaks = [&](const NoteSigner& key) {
    return key.verifier_key(verifier_.name()) == log_key;
  };
  if (std::ranges::none_of(keys, speaks)) {
    fail(ErrorCode::untrusted, "{}: not the key that the log's entries name, {}",
         quote(key_path(folder_).string()), log_key);
  }
  return keys;
}

void Log::write_note(const std::vector<NoteSigner>& signers, const MerkleTree& tree,
                     NoteKind kind) const {
  const bool pending = kind == NoteKind::pending;
  std::optional<std::uint64_t> now;
  if (!pending) now = static_cast<std::uint64_t>(format::clock_seconds());
  write_file(folder_ / (pending ? "pending" : "checkpoint"),
             sign_checkpoint(signers, {verifier_.name(), tree.size(), tree.root()}, kind, now),
             AtomicFile::Mode::replace, 0666, Rights::folder);
}

void Log::renew(const LogPosition& end, const std::string& log_key) const {
  check(covers(end.tree), "the log grew under the write lock");
  write_note(signers(log_key), end.tree, NoteKind::checkpoint);
}

bool Log::next_key_waits() const { return is_taken(next_key_path(folder_)); }

std::optional<std::string> Log::next_key() const {
  const auto next = load_next(folder_);
  return next ? std::optional(next->verifier_key(verifier_.name())) : std::nullopt;
}

// What lies there is never taken over: whoever may write the folder could have put it there.
void Log::keep_next_key(const NoteSigner& key) const {
  key.save_like(next_key_path(folder_), key_path(folder_));
}

void Log::drop_next_key() const { remove_path(next_key_path(folder_)); }

void Log::sign_as(const std::vector<std::string>& keys, const std::string& log_key,
                  SignedNote& note) const {
  for (const NoteSigner& signer : signers(log_key)) {
    const std::string key = signer.verifier_key(verifier_.name());
    if (std::ranges::find(keys, key) == keys.end()) continue;
    note.add(signer.sign(verifier_.name(), note.text));
  }
}

// Pinned first: a crash in between leaves two keys of which one is pinned, which is enough to sign.
void Log::hand_over(const std::string& log_key) {
  const bool waits = next_key() == log_key;
  if (!waits) {
    if (verifier_.to_string() == log_key) return;
    if (pin_again() && verifier_.to_string() == log_key) return;
    // Handed over, and somebody has pinned a former key since.
    if (load_signer(key_path(folder_)).verifier_key(verifier_.name()) != log_key) {
      fail(ErrorCode::untrusted,
           "{}: neither it nor log.key.next is the key that the log names, {}",
           quote(key_path(folder_).string()), log_key);
    }
  }
  write_file(verifier_path(folder_), log_key + "\n", AtomicFile::Mode::replace, 0666,
             Rights::folder);
  if (waits) rename_path(next_key_path(folder_), key_path(folder_));
  sync_folder(folder_);
  last_.reset();
  verifier_ = NoteVerifier::parse(log_key, "log key");
}

}  // namespace organ::registry
