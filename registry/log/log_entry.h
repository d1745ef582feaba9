// SPDX-License-Identifier: Apache-2.0
// One event of a registry's history (schemas/log-entry.v1.schema.json).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"

#pragma GCC visibility push(default)

namespace organ::registry {

// Signatures of one entry: a reader takes no more.
inline constexpr std::size_t kMostSignatures = 64;

// What happened, and which fields of LogEntry say it beside `kind` and `time`.
enum class LogKind {
  publish,      // name, version, manifest, signatures
  signature,    // a further signature of a published version: name, version, manifest, signatures
  alias,        // name, alias, version (absent: the alias is taken away)
  yank,         // name, version, reason; withdrawn = the yank is taken back
  revoke,       // name, version, reason
  key,          // action (log_key | trust | distrust), key, pattern
  policy,       // pattern, mode, threshold: of the rule whose keys are those trusted for it
  supersede,    // name, version, successor, reason: a notice; withdrawn = it is taken back
  takedown,     // name, version, reason: its weights were taken away, for good
  root,         // note: who speaks for the log from here on (root.h)
  key_end,      // key, pattern, action: trust, and expires; or retire, and from
  attestation,  // something stated of a published version: name, version, manifest, signatures
};
std::string_view to_string(LogKind kind);  // its name as written here

// A blob by digest and size in bytes. Either may be wrong until the blob was read.
struct BlobRef {
  Digest digest;
  std::uint64_t size = 0;
  bool operator==(const BlobRef&) const = default;
};

// What takes the place of a version, and why.
struct Supersession {
  std::string by;  // NAME:VERSION, of any name
  std::string reason;
  bool operator==(const Supersession&) const = default;
};

// When and why the weights of a version were taken away.
struct Takedown {
  std::string time;  // RFC 3339 UTC
  std::string reason;
  bool operator==(const Takedown&) const = default;
};
// "was taken down on TIME because REASON", escaped for people.
std::string describe(const Takedown& takedown);

// Fields a kind does not use are empty. A value that says what a line says: whether the entry fits
// those before it is asked by LogFacts, Catalog and check_log().
struct LogEntry {
  LogKind kind = LogKind::publish;
  // RFC 3339 UTC, seconds: the clock of who wrote the entry. parse() takes nothing else.
  std::string time;
  // Of the organ; parse() holds them to the grammar of names (format::check_name) and of SemVer.
  std::string name;
  std::string version;
  std::optional<BlobRef> manifest;  // the OCI manifest: the identity of the version
  // OCI manifests of signed bundles whose subject is `manifest`, kMostSignatures at most; none only
  // in an entry of kind publish.
  std::vector<BlobRef> signatures;
  std::string alias;
  std::string reason;      // free text of whoever made the entry: escape it for people
  bool withdrawn = false;  // what an earlier entry of this kind says is taken back
  std::string action;
  std::string key;  // log_key: C2SP verifier key; trust, distrust, retire: key id
  // Of the rule (trust/policy.h); empty: every rule that has the key, for distrust and retire.
  std::string pattern;
  std::string mode;             // enforce | warn | off
  std::uint64_t threshold = 0;  // keys that must have signed, 1 to 64
  std::string successor;        // NAME:VERSION
  std::string note;             // C2SP signed note
  std::string expires;          // RFC 3339 UTC: what is entered later counts no more
  std::uint64_t from = 0;       // an entry: what it and later ones enter counts no more

  // Canonical JSON, one line. parse(to_text()) is the identity.
  std::string to_text() const;
  // At most 64 KiB of JSON, in canonical form to the byte. Throws corrupt naming `subject`, or
  // unsupported_version for a kind or schema version of a newer organ.
  static LogEntry parse(std::string_view text, std::string_view subject);

  bool operator==(const LogEntry&) const = default;
};

}  // namespace organ::registry

#pragma GCC visibility pop
