// SPDX-License-Identifier: Apache-2.0
// organ/log, the append-only history. One line per entry:
//
//   64 hex digits: RFC 6962 leaf hash of the JSON text | SP | canonical JSON | LF
//
// and organ/checkpoint, a C2SP signed note over origin, size and root of the Merkle tree of these
// leaves. An entry exists once its line is durable; the checkpoint follows at once, so at most the
// last line may lie beyond it. organ/log.key (Ed25519, 0600) signs; organ/trust/log.vkey pins the
// public key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "registry/log/log_entry.h"
#include "registry/log/merkle.h"
#include "registry/log/note.h"

namespace organ::registry {

// A prefix of the log.
struct LogPosition {
  std::uint64_t bytes = 0;
  MerkleTree tree;
  std::uint64_t entries() const { return tree.size(); }
};

// What a scan found.
struct LogScan {
  LogPosition end;               // after the last whole entry
  std::uint64_t torn_bytes = 0;  // of an append that a crash cut short
  Checkpoint checkpoint;
  bool needs_recovery() const { return torn_bytes > 0 || checkpoint.size < end.entries(); }
};

// A value that knows where the log lies; nothing stays open. Writers hold the registry's write
// lock.
class Log {
 public:
  using Visitor = std::function<void(std::uint64_t index, const LogEntry& entry)>;

  // Makes key, pinned verifier key, log and checkpoint in the folder `organ/`; the first entry
  // names the log's own key.
  static Log create(const std::filesystem::path& folder, const std::string& time);
  // Reads the pinned key only. Throws not_found, corrupt.
  explicit Log(std::filesystem::path folder);

  const std::string& origin() const { return verifier_.name(); }
  Checkpoint checkpoint() const;  // throws corrupt, untrusted

  // Reads on from a known prefix and proves that log and checkpoint belong together. Throws
  // corrupt naming the entry: damaged, cut back, forked, or a checkpoint that went backwards.
  LogScan scan(const LogPosition& from, const Visitor& visit) const;

  // Cuts a torn tail off and signs the checkpoint that a crash left out.
  void recover(const LogScan& scan) const;

  // Adds one entry after `end`; on return it is durable and covered by the checkpoint. Requires
  // that nothing was torn.
  LogPosition append(const LogPosition& end, const LogEntry& entry) const;

  // Whether this process may append: the key can be read and the log written.
  bool is_writable() const;

 private:
  void sign(const MerkleTree& tree) const;

  std::filesystem::path folder_;
  NoteVerifier verifier_;
};

}  // namespace organ::registry
