// SPDX-License-Identifier: Apache-2.0
// Who speaks for a log, and what is demanded of its checkpoints. Entry 0 makes the first root: the
// log's key alone. Every other one is an entry of kind `root`, a C2SP signed note whose text is
//
//   ORIGIN/root LF
//   canonical JSON (schemas/log-root.v1.schema.json) LF
//
// It follows another root only with the next version and signed by as many of its keys as it asks
// for, and by as many of its own. So a client that knows one root follows all later ones by proof.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/error.h"

#pragma GCC visibility push(default)

namespace organ::registry {

inline constexpr std::size_t kMostRootKeys = 16;  // and as many witnesses

// Keys are verifier keys of C2SP signed notes, each there once. A value. parse() and to_text() are
// inverse; parse() enforces the bounds that are named here.
struct LogRoot {
  std::uint64_t version = 1;      // counted up by one from root to root
  std::string log_key;            // signs the checkpoints from this root's entry on
  std::vector<std::string> keys;  // sign the next root
  std::uint64_t threshold = 1;    // so many of them, 1 to their number
  std::string expires;            // RFC 3339 UTC: the log key counts until then; empty: for ever
  std::vector<std::string> witnesses;    // cosigner keys
  std::uint64_t quorum = 0;              // so many of them must have cosigned what counts
  std::optional<std::uint64_t> max_age;  // seconds: nobody reads a state that is older

  // That of a log whose entry 0 names this key: it alone signs all; no end, witnesses or age.
  static LogRoot first(std::string log_key);

  std::string to_text() const;  // canonical JSON
  // Throws corrupt naming `subject`, unsupported_version.
  static LogRoot parse(std::string_view text, std::string_view subject);
  bool operator==(const LogRoot&) const = default;
};

// The name of the log: that of its key, whichever it is. Throws corrupt for a key that is none.
std::string origin_of(const LogRoot& root);

// The text that is signed of a root of the log with this origin, and a root out of such a note,
// whose signatures are not looked at. Throws corrupt, untrusted (another origin),
// unsupported_version.
std::string root_note_text(const LogRoot& root, std::string_view origin);
LogRoot read_root_note(std::string_view note, std::string_view origin, std::string_view subject);

// How many of the keys that must sign have signed: of the root before it, and of its own. A key
// that is in both counts in both.
struct RootSignatures {
  std::uint64_t former = 0, own = 0;
};
// Throws untrusted for a bad signature of one of these keys, and what read_root_note throws.
RootSignatures count_signatures(const LogRoot& former, std::string_view note,
                                std::string_view origin, std::string_view subject);

// The root of a note that follows `former`. Throws untrusted when it does not follow: another
// version than the next, too few signatures of either; and what count_signatures throws.
LogRoot next_root(const LogRoot& former, std::string_view note, std::string_view origin,
                  std::string_view subject);

// What `next` asks for less than `former` does, as sentences; empty: nothing. A share of the keys,
// or of the witnesses, counts as their number does.
std::vector<std::string> lowered(const LogRoot& former, const LogRoot& next);
// Which keys of the root and which witnesses came and went, as sentences; not the log's key where
// it gave its place to its successor.
std::vector<std::string> exchanged(const LogRoot& former, const LogRoot& next);

}  // namespace organ::registry

#pragma GCC visibility pop
