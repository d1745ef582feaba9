// SPDX-License-Identifier: Apache-2.0
// The private keys that `organ log root` and `organ log cosign` sign with.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/frame/passphrase.h"
#include "registry/notes/note_signer.h"

namespace organ::cli {

// A key and the verifier key under which it is known.
struct SigningKey {
  registry::NoteSigner signer;
  std::string verifier_key;
  // What stands before the first '+' of the verifier key: the name in the lines that it signs.
  std::string name() const { return verifier_key.substr(0, verifier_key.find('+')); }
};

// Loads FOLDER/NAME.key. Its verifier key is the one of `known` that belongs to it, else that of
// FOLDER/NAME.vkey beside it. Throws not_found, invalid_argument.
// `known`: verifier keys of which one is expected, all well-formed. Asks for the passphrase of an
// encrypted key only. invalid_argument where neither belongs to the key under `type`.
SigningKey load_signing_key(const std::filesystem::path& path, registry::NoteKeyType type,
                            const std::vector<std::string>& known,
                            const PassphraseOptions& passphrase);

}  // namespace organ::cli
