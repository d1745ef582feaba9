// SPDX-License-Identifier: Apache-2.0
// Private Ed25519 keys that sign notes: of logs, of whoever may change a log's root, of witnesses.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/notes/note.h"

struct evp_pkey_st;

namespace organ::registry {

// PKCS#8 PEM, mode 0600. Copies share the key.
class NoteSigner {
 public:
  static NoteSigner generate();
  // Who may read a key's file: its owner; or, in a folder that a group shares (file_system.h), that
  // group too.
  enum class Readers { owner, group };
  // `ask` gives the passphrase of an encrypted key; it is called only for one, and may throw.
  // Throws invalid_argument when the passphrase does not open it, and for a file that others may
  // read, another kind of key or none (a registry's own, of readers group: untrusted, corrupt);
  // not_found, io. Never a terminal prompt of OpenSSL's own.
  using AskPassphrase = std::function<std::string()>;
  static NoteSigner load(const std::filesystem::path& path, const AskPassphrase& ask = {},
                         Readers readers = Readers::owner);
  // Encrypted when there is a passphrase. Throws already_exists.
  void save(const std::filesystem::path& path, const std::string& passphrase = {},
            Readers readers = Readers::owner) const;
  // In plain, in place of what lies there, with mode, owner and group of another key's file. Throws
  // io when it cannot be that group's; another's owner only the superuser can make.
  void save_like(const std::filesystem::path& path, const std::filesystem::path& other) const;

  // PREFIX and 16 hex digits of the public key's SHA-256: the name of a log that this key founds.
  std::string name_below(std::string_view prefix) const;
  // As notes/note.h writes it. `name` is not checked.
  std::string verifier_key(std::string_view name, NoteKeyType type = NoteKeyType::ed25519) const;

  // Over the bytes of `text`, which ends with a line feed where it is a note's.
  NoteSignature sign(std::string_view name, std::string_view text) const;
  // `time`: seconds since 1970.
  NoteSignature cosign(std::string_view name, std::string_view text, std::uint64_t time) const;

 private:
  explicit NoteSigner(evp_pkey_st* key);
  std::string sign_bytes(std::string_view bytes) const;
  std::array<std::uint8_t, 32> public_key() const;
  std::shared_ptr<evp_pkey_st> key_;  // shared: OpenSSL handles are immutable after loading
};

// The note of a checkpoint, signed by each of them under its origin as the key's name; with a time
// (seconds since 1970) cosigned too.
std::string sign_checkpoint(const std::vector<NoteSigner>& by, const Checkpoint& checkpoint,
                            NoteKind kind = NoteKind::checkpoint,
                            std::optional<std::uint64_t> time = std::nullopt);

}  // namespace organ::registry
