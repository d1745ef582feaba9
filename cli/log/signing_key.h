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
  std::string name() const { return verifier_key.substr(0, verifier_key.find('+')); }
};

// Loads FOLDER/NAME.key. Its verifier key is the one of `known` that belongs to it, else that of
// FOLDER/NAME.vkey beside it. Throws not_found, invalid_argument.
SigningKey load_signing_key(const std::filesystem::path& path, registry::NoteKeyType type,
                            const std::vector<std::string>& known,
                            const PassphraseOptions& passphrase);

}  // namespace organ::cli
