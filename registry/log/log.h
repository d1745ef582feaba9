// SPDX-License-Identifier: Apache-2.0
// organ/log, the append-only history. One line per entry:
//
//   64 hex digits: RFC 6962 leaf hash of the JSON text | SP | canonical JSON | LF
//
// and organ/checkpoint, a C2SP signed note over origin, size and root of the Merkle tree of these
// leaves. What the checkpoint covers exists; readers look at nothing behind it. Before a line is
// written, organ/pending, a signed note of another kind, says which one will come: after a crash
// only that line is taken in, so nobody without the key can add one. organ/log.key (Ed25519, 0600)
// signs; organ/trust/log.vkey pins the public key, with which notes are opened at first sight.
// Which key counts follows from the entries (root.h), so whoever writes, or relies on a note, says
// which one that is: `log_key` below, a C2SP verifier key. While it is handed over to another,
// organ/log.key.next, both sign each note.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "format/base/error.h"
#include "registry/log/log_entry.h"
#include "registry/log/merkle_proof.h"
#include "registry/notes/note.h"
#include "registry/notes/note_signer.h"

namespace organ::registry {

class LineReader;

// A prefix of the log.
struct LogPosition {
  std::uint64_t bytes = 0;
  MerkleTree tree;
  std::uint64_t entries() const { return tree.size(); }
};

// Where an entry stands: counted from 0, and its line's first byte.
struct LogPlace {
  std::uint64_t index = 0;
  std::uint64_t offset = 0;
};

// The checkpoint as it lies there, signed by the pinned key, which may be anybody's (signed_at).
struct SignedCheckpoint {
  Checkpoint tree;
  std::string note;
};

// What a scan found.
struct LogScan {
  LogPosition end;  // behind the last entry that the checkpoint covers
  Checkpoint checkpoint;
  std::string note;          // that signs it
  std::uint64_t beyond = 0;  // bytes of the file behind `end`
};

// Log, checkpoint and the prefix that was seen before do not fit together.
class LogError : public Error {
 public:
  using Error::Error;
};

// A value that knows where the log lies; nothing stays open. Writers hold the registry's write
// lock.
class Log {
 public:
  using Visitor = std::function<void(const LogPlace& place, const LogEntry& entry)>;

  // Makes key, pinned verifier key, log and checkpoint in the folder `organ/`; the first entry
  // names the log's own key.
  static Log create(const std::filesystem::path& folder, const std::string& time);
  // Reads the pinned key only. Throws not_found, corrupt. When another one is pinned later, it is
  // taken; whether it may follows from the entries (add_facts).
  explicit Log(std::filesystem::path folder);

  const std::string& origin() const { return verifier_.name(); }
  const std::string& verifier_key() const { return verifier_.to_string(); }
  Checkpoint checkpoint() const;  // throws corrupt, untrusted
  SignedCheckpoint signed_checkpoint() const;
  // When `log_key` signed the note of a checkpoint, in seconds since 1970; older organs wrote no
  // time. Throws untrusted unless it did sign it, corrupt.
  std::optional<std::uint64_t> signed_at(const std::string& log_key, const std::string& note) const;

  // Reads on from a known prefix to the entry that the checkpoint names last, and proves that both
  // belong together. Needs no lock. Throws LogError (corrupt, naming the entry): damaged, cut back,
  // forked, a checkpoint that went backwards, or `from` is no prefix of this log.
  LogScan scan(const LogPosition& from, const Visitor& visit) const;

  // The entry at this place, proved to be in `covered`, a tree of this log that somebody vouches
  // for; nothing when there is none. A wrong offset only makes it slow: then the whole log is read.
  // Throws LogError when the log does not lead to `covered`.
  std::optional<LogEntry> proved_entry(const LogPlace& place, const TreeHead& covered) const;

  // The hashes of log.tree, which nobody trusts: what they give must lead to a checkpoint's root.
  // False when the file is missing, or too short for what is asked of it.
  bool read_tree(const std::function<void(const SubtreeRoots& subtrees)>& use) const;

  // Ends what a crash left behind the checkpoint: the line that a pending note of `log_key` names
  // is taken in (a scan then reads on), any other is cut off; a whole one is kept in `quarantine`
  // first. Throws untrusted when the private key of `log_key` is not here.
  enum class Recovered { nothing, taken_in, cut_off, set_aside };
  Recovered recover(const LogScan& scan, const std::filesystem::path& quarantine,
                    const std::string& log_key) const;

  // Adds one entry after `end`, where the file must end; on return it is durable and covered by the
  // checkpoint. When it throws, nothing was added. Throws invalid_argument for an entry that no
  // reader would take, untrusted when the private key of `log_key` is not here.
  LogPosition append(const LogPosition& end, const LogEntry& entry,
                     const std::string& log_key) const;

  // Signs the checkpoint of all entries anew, with today's time; the log must end at `end`.
  void renew(const LogPosition& end, const std::string& log_key) const;

  // The last of the entries before `end`, which this log was read to. Throws LogError.
  LogEntry last_entry(const LogPosition& end) const;

  // Whether something waits under the name of the next key, usable or not; and the verifier key of
  // one that is.
  bool next_key_waits() const;
  std::optional<std::string> next_key() const;
  // Puts the key there that the next root may hand over to, in place of what waits, for those who
  // may read log.key and nobody else; from now on every note is signed with it too. Throws io.
  void keep_next_key(const NoteSigner& key) const;
  void drop_next_key() const;
  // Adds signatures of those of the log's keys, the next one too, that are among `keys`. Throws as
  // append() does.
  void sign_as(const std::vector<std::string>& keys, const std::string& log_key,
               SignedNote& note) const;
  // Once an entry says that this is the log's key: it is pinned and signs alone. Nothing when it
  // does so already. Throws untrusted when neither key is this one.
  void hand_over(const std::string& log_key);

  // Whether this process may append: the key can be read and the log written.
  bool is_writable() const;

 private:
  void check_beyond(LineReader& reader, const LogScan& scan) const;
  bool covers(const MerkleTree& tree) const;
  bool proves(std::uint64_t index, const Digest& leaf, const TreeHead& covered) const;
  void take_back(int fd, std::uint64_t bytes, const Error& cause) const;
  std::string subject() const;
  SignedCheckpoint open_checkpoint() const;
  bool pin_again() const;
  std::vector<NoteSigner> signers(const std::string& log_key) const;
  void write_note(const std::vector<NoteSigner>& signers, const MerkleTree& tree,
                  NoteKind kind) const;
  bool is_pending(const MerkleTree& tree, const std::string& log_key) const;
  void grow_tree_file(std::uint64_t index, const std::vector<Digest>& final_hashes) const;
  void make_tree_file() const;

  std::filesystem::path folder_;
  mutable NoteVerifier verifier_;
  mutable std::optional<SignedCheckpoint> last_;  // that was verified with it
  struct Opened {
    std::string log_key, note;
    std::optional<std::uint64_t> time;
  };
  mutable std::optional<Opened> opened_;  // the last one of signed_at
};

}  // namespace organ::registry
