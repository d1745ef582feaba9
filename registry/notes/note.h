// SPDX-License-Identifier: Apache-2.0
// C2SP signed notes (c2sp.org/signed-note) with Ed25519, and what is signed in them of a log:
// checkpoints (c2sp.org/tlog-checkpoint) and cosignatures of them with a time
// (c2sp.org/tlog-cosignature, cosignature/v1).
//
//   TEXT                                       lines; all of it is signed
//   LF
//   "— " NAME SP BASE64(KEY_ID(4) || VALUE) LF
//
// The text of a checkpoint is ORIGIN LF SIZE LF BASE64(ROOT) LF. A verifier key is written
// NAME+HEX(KEY_ID)+BASE64(TYPE || public key), KEY_ID = first 4 bytes of SHA-256(NAME || 0x0A ||
// TYPE || public key). VALUE is the signature of TEXT (type 0x01), or a time in eight bytes, big
// endian, and the signature of "cosignature/v1" LF "time " SECONDS LF TEXT (type 0x04).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"

namespace organ::registry {

inline constexpr std::uint64_t kNoteLimit = 64 << 10;   // bytes of its file
inline constexpr std::size_t kMostNoteSignatures = 64;  // lines that a reader takes

enum class NoteKeyType : std::uint8_t { ed25519 = 0x01, cosigner = 0x04 };

// A signature line.
struct NoteSignature {
  std::string name;
  std::array<std::uint8_t, 4> key_id{};
  std::string value;  // bytes

  std::string to_line() const;
  bool operator==(const NoteSignature&) const = default;
};

// A note taken apart; what it says is not believed yet.
struct SignedNote {
  std::string text;  // with its last line feed
  std::vector<NoteSignature> signatures;

  std::string to_string() const;
  void add(NoteSignature signature);  // unless it is there
  // Throws corrupt naming `subject`.
  static SignedNote parse(std::string_view note, std::string_view subject);
};

// The state of a log: the name it goes by, its entries, and the root of their Merkle tree.
struct Checkpoint {
  std::string origin;
  std::uint64_t size = 0;
  Digest root;
  bool operator==(const Checkpoint&) const = default;
};

// What a note says of a log: its state, or the state that one more line will give it. The text of a
// pending note begins with "ORIGIN/pending": it is no checkpoint, so a log never signs two
// checkpoints of one size.
enum class NoteKind { checkpoint, pending };

// What a note of this kind says of the log.
std::string checkpoint_text(const Checkpoint& checkpoint, NoteKind kind = NoteKind::checkpoint);
// Its origin is the first line, whatever the kind. Throws corrupt.
Checkpoint parse_checkpoint(std::string_view text, std::string_view subject);

// What a verifier key says behind its name and id, its type and public key: equal for one key under
// two names. All of a text that is no verifier key.
std::string_view key_part(std::string_view verifier_key);

// A verifier key. A value.
class NoteVerifier {
 public:
  static NoteVerifier parse(std::string_view text, std::string_view subject);  // throws corrupt
  const std::string& name() const { return name_; }
  const std::string& to_string() const { return text_; }
  NoteKeyType type() const { return type_; }
  // Whether the line claims to be of this key.
  bool made(const NoteSignature& signature) const {
    return signature.name == name_ && signature.key_id == id_;
  }
  // The same name and public key, which sign in the other way too.
  NoteVerifier as(NoteKeyType type) const;

  // The time of the newest good signature of this key, in seconds since 1970 (0: its type has
  // none); nothing when the note has no line of it. Throws untrusted for a bad one.
  std::optional<std::uint64_t> find(const SignedNote& note, std::string_view subject) const;

  // Returns the checkpoint of a note of this kind; its origin must be this key's name. Throws
  // corrupt (malformed) or untrusted (no good signature of this key, another kind).
  Checkpoint open(std::string_view note, std::string_view subject,
                  NoteKind kind = NoteKind::checkpoint) const;

 private:
  NoteVerifier() = default;
  std::optional<std::uint64_t> time_of(const NoteSignature& signature, std::string_view text) const;

  std::string text_, name_;
  NoteKeyType type_ = NoteKeyType::ed25519;
  std::array<std::uint8_t, 4> id_{};
  std::array<std::uint8_t, 32> public_key_{};
};

}  // namespace organ::registry
