// SPDX-License-Identifier: Apache-2.0
// The whole verification of one organ: publisher, manifest, contents.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "format/organ/organ_source.h"
#include "format/signature/signing.h"

#pragma GCC visibility push(default)

namespace organ::format {

// Whose word counts, and what is asked. With neither keys nor certificates and without
// require_signature nothing is proved of the publisher, and signatures are read for contradictions.
struct VerifyOptions {
  std::vector<PublicKey> keys;                        // whose signatures count
  std::optional<CertificateTrust> certificates = {};  // roots whose certificates count
  bool require_signature = true;  // no good signature of these keys is then a finding
  ContentOptions contents;
};

// What was established. Plain value.
struct Verification {
  // Signatures first, then files that no entry explains, then contents. Empty: the organ is what it
  // says.
  std::vector<Finding> findings;
  // Keys that count, given or certified by a root, and signed exactly these bytes: each once,
  // ascending.
  std::vector<KeyId> signers;
  std::size_t bundles = 0;  // signatures that came with it, good or not
};

// Bundles, statement against manifest and organ.json's bytes, extra files, contents. Damage is a
// finding, never an exception, also bundles that cannot be read (a model.sig above
// kSignatureLimit). Throws cancelled, as verify_contents().
Verification verify_organ(const OrganSource& organ, const VerifyOptions& options,
                          const Work& work = {});

// The same for a folder; what is no file in it (a sub-folder, a symlink, …) and what keeps it from
// being opened (a damaged organ.json) is a finding too, and model.sig is still asked about
// organ.json's bytes. Throws not_found when there is no organ, invalid_argument for what is no
// folder.
Verification verify_organ_folder(const std::filesystem::path& folder, const VerifyOptions& options,
                                 const Work& work = {});

}  // namespace organ::format

#pragma GCC visibility pop
