// SPDX-License-Identifier: Apache-2.0
// Who signed one organ, and how many persons they are: a threshold counts persons, and one person
// may have several keys, certificates and names.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "format/base/finding.h"
#include "format/signature/certificates.h"
#include "format/signature/signing.h"

namespace organ::registry {

// One good signature over the whole organ.
struct Signer {
  format::KeyId key;  // that made the signature
  // Whose that key is, where a certificate says it; nothing: a bare key.
  std::optional<format::CertificateSigner> certificate;
  bool legacy = false;        // in the form of model_signing 0.2
  std::string subject;        // which bundle it is
  bool one_identity = false;  // only certificates of one identity, that was asked for, count

  std::string describe() const;  // the end of a sentence
};

// Two signers are one person when they have a key, a subject or a name in common, or one identity
// was asked for; so are all that are linked through others, in whatever order they come.
class Signers {
 public:
  // One with the key and the certificate of another one that is here adds nothing.
  void add(Signer signer);

  std::size_t persons() const;              // what a threshold is compared with
  std::vector<format::KeyId> keys() const;  // each once, as all below, whoever has it
  std::vector<format::CertificateSigner> certificates() const;
  // In the order in which they came.
  std::vector<std::string> describe() const;
  // Those that count for nothing beside others of the same person, and why.
  std::vector<format::Finding> repeated() const;

 private:
  struct Place {
    Signer signer;
    std::size_t person;  // the place of one of that person, the same for all of them
  };
  std::vector<Place> places_;
};

}  // namespace organ::registry
