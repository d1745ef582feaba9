// SPDX-License-Identifier: Apache-2.0
// That a registry's log holds an entry, as one document that is checked without the registry
// (schemas/log-proof.v1.schema.json): the entry, the RFC 6962 audit path from its leaf to the root
// of the tree, and the checkpoint, a C2SP signed note, that signs this root.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"
#include "registry/log/log_entry.h"
#include "registry/registry.h"

#pragma GCC visibility push(default)

namespace organ::registry {

inline constexpr std::uint64_t kProofLimit = std::uint64_t{1} << 20;  // bytes of a document

// A document as it stands: nothing of it is believed before check_proof().
struct LogProof {
  std::string log_key;         // C2SP verifier key that the checkpoint is signed with
  std::uint64_t index = 0;     // of the entry, from 0
  std::string entry;           // its canonical JSON
  std::vector<Digest> hashes;  // from the leaf's sibling up
  std::string checkpoint;      // the note

  // JSON on several lines; equal values give equal bytes.
  std::string to_text() const;
  // Throws corrupt naming `subject`, unsupported_version. Nothing is proved yet.
  static LogProof parse(std::string_view text, std::string_view subject);
};

// Of the registry's newest checkpoint; where its root asks for witnesses, of the newest one that
// enough of them have cosigned, if that covers the entry. Reads the whole log. Throws not_found (no
// such entry, no registry), and what reading the log throws.
LogProof prove_entry(const std::filesystem::path& registry, std::uint64_t index);

// What a proof proves, and on whose word.
struct ProvedEntry {
  LogEntry entry;
  std::uint64_t entries = 0;               // of the log that the checkpoint covers
  std::optional<std::uint64_t> signed_at;  // seconds since 1970; older organs wrote no time
  bool by_former_key = false;              // which has handed over since, as the user knows
  std::vector<std::string> witnesses;      // those of the demand that have cosigned it
};

// Whose cosignatures are demanded of a proof (C2SP verifier keys), and how many. One key under two
// names counts once. Without witnesses: what is known of the log decides.
struct WitnessDemand {
  std::vector<std::string> witnesses;
  std::uint64_t quorum = 0;
};
// The log's key must be `trusted.log_key`; without one, that of a registry that the user has met,
// or one that it had before: that one's word counts for the entries before it handed over. What is
// known of such a log holds here too: its last state, the witnesses and the quorum of the root of
// that time (where none are demanded here), the age that its root and the user demand, the end of
// its key; so does trusted.max_age. Throws untrusted when any of this fails, or the key did not
// sign the checkpoint; corrupt when the entry does not lead to the root, or a part of the document
// is malformed; unsupported_version for an entry of a newer organ. Reads no registry and remembers
// nothing; `subject` names the document in errors.
ProvedEntry check_proof(const LogProof& proof, const OpenOptions& trusted, std::string_view subject,
                        const WitnessDemand& demand = {});

}  // namespace organ::registry

#pragma GCC visibility pop
