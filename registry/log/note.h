// SPDX-License-Identifier: Apache-2.0
// C2SP signed notes and checkpoints with Ed25519 (c2sp.org/signed-note, c2sp.org/tlog-checkpoint):
//
//   ORIGIN LF SIZE LF BASE64(ROOT) LF          the text; all of it is signed
//   LF
//   "— " NAME SP BASE64(KEY_ID(4) || SIGNATURE(64)) LF
//
// KEY_ID = first 4 bytes of SHA-256(NAME || 0x0A || 0x01 || public key). A verifier key is written
// NAME+HEX(KEY_ID)+BASE64(0x01 || public key).
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "format/base/digest.h"

struct evp_pkey_st;

namespace organ::registry {

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

class NoteVerifier {
 public:
  static NoteVerifier parse(std::string_view text, std::string_view subject);  // throws corrupt
  const std::string& name() const { return name_; }
  const std::string& to_string() const { return text_; }

  // Returns the checkpoint of a note of this kind; its origin must be this key's name. Throws
  // corrupt (malformed) or untrusted (no good signature of this key, another kind).
  Checkpoint open(std::string_view note, std::string_view subject,
                  NoteKind kind = NoteKind::checkpoint) const;

 private:
  std::string text_, name_;
  std::array<std::uint8_t, 4> id_{};
  std::array<std::uint8_t, 32> public_key_{};
};

// The log's signing key: PKCS#8 PEM, mode 0600.
class NoteSigner {
 public:
  static NoteSigner generate();
  static NoteSigner load(const std::filesystem::path& path);
  void save(const std::filesystem::path& path) const;

  // The verifier key under the name PREFIX + 16 hex digits of the public key's SHA-256.
  std::string verifier_key(std::string_view prefix) const;
  std::string sign(const Checkpoint& checkpoint, NoteKind kind = NoteKind::checkpoint) const;

 private:
  explicit NoteSigner(evp_pkey_st* key);
  std::array<std::uint8_t, 32> public_key() const;
  std::shared_ptr<evp_pkey_st> key_;  // shared_ptr only for its type-erased deleter
};

}  // namespace organ::registry
