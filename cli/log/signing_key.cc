// SPDX-License-Identifier: Apache-2.0
#include "cli/log/signing_key.h"

#include "cli/registry/verifier_key.h"
#include "format/base/fail.h"
#include "format/base/path_status.h"
#include "registry/notes/note.h"

namespace organ::cli {

using registry::NoteKeyType;
using registry::NoteSigner;
using registry::NoteVerifier;

namespace {

// Whether this is the verifier key of `signer`.
bool belongs(const NoteSigner& signer, const NoteVerifier& verifier, NoteKeyType type) {
  return verifier.type() == type &&
         signer.verifier_key(verifier.name(), type) == verifier.to_string();
}

}  // namespace

SigningKey load_signing_key(const std::filesystem::path& path, NoteKeyType type,
                            const std::vector<std::string>& known,
                            const PassphraseOptions& passphrase) {
  NoteSigner signer = NoteSigner::load(path, passphrase_source(passphrase));
  for (const std::string& key : known) {
    const auto verifier = NoteVerifier::parse(key, "verifier key");
    if (belongs(signer, verifier, type)) return {std::move(signer), key};
  }
  const std::filesystem::path beside = std::filesystem::path(path).replace_extension(".vkey");
  if (!is_there(beside)) {
    throw Error(ErrorCode::invalid_argument,
                quote(path.string()) + ": it is none of the keys that are asked for",
                quote(beside.string()) + " would say its name: organ key generate writes it");
  }
  const auto verifier = NoteVerifier::parse(read_verifier_file(beside), quote(beside.string()));
  if (!belongs(signer, verifier, type)) {
    fail(ErrorCode::invalid_argument, "{}: is not the verifier key of {}", quote(beside.string()),
         quote(path.string()));
  }
  return {std::move(signer), verifier.to_string()};
}

}  // namespace organ::cli
