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

// More signatures at once than a reader takes.
inline constexpr std::size_t kMostSignatures = 64;

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
std::string_view to_string(LogKind kind);

// A blob by digest and size.
struct BlobRef {
  Digest digest;
  std::uint64_t size = 0;
  bool operator==(const BlobRef&) const = default;
};

// What takes the place of a version, and why.
struct Supersession {
  std::string by;  // NAME:VERSION
  std::string reason;
  bool operator==(const Supersession&) const = default;
};

// When and why the weights of a version were taken away.
struct Takedown {
  std::string time;  // RFC 3339 UTC
  std::string reason;
  bool operator==(const Takedown&) const = default;
};
std::string describe(const Takedown& takedown);  // "was taken down on TIME because REASON"

// Fields a kind does not use are empty.
struct LogEntry {
  LogKind kind = LogKind::publish;
  std::string time;  // RFC 3339 UTC, seconds
  std::string name;
  std::string version;
  std::optional<BlobRef> manifest;  // the OCI manifest: the identity of the version
  std::vector<BlobRef> signatures;  // OCI manifests of signed bundles whose subject is `manifest`
  std::string alias;
  std::string reason;
  bool withdrawn = false;
  std::string action;
  std::string key;  // log_key: C2SP verifier key; trust, distrust: key id
  std::string pattern;
  std::string mode;  // enforce | warn | off
  std::uint64_t threshold = 0;
  std::string successor;   // NAME:VERSION
  std::string note;        // C2SP signed note
  std::string expires;     // RFC 3339 UTC: what is entered later counts no more; may be empty
  std::uint64_t from = 0;  // an entry: what it and later ones enter counts no more

  // Canonical JSON, one line. parse(to_text()) is the identity.
  std::string to_text() const;
  // Throws corrupt naming `subject` or unsupported_version.
  static LogEntry parse(std::string_view text, std::string_view subject);

  bool operator==(const LogEntry&) const = default;
};

}  // namespace organ::registry

#pragma GCC visibility pop
