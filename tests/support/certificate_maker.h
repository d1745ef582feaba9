// SPDX-License-Identifier: Apache-2.0
// Authorities, signers and time stamps for tests, made by OpenSSL when they run.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "format/signature/certificates.h"
#include "format/signature/signing.h"

namespace organ::test {

struct CertificateSpec {
  std::string name = "leaf";  // CN; O is Acme; "": no subject at all
  // Name and value as in openssl's configuration: {"keyUsage", "digitalSignature"}.
  std::vector<std::pair<std::string, std::string>> extensions = {};
  std::int64_t begin = -3600, end = 3600;  // seconds from now
  format::Curve curve = format::Curve::p256;
  bool compressed = false;  // the point of its key
  bool sha1 = false;        // hashed for its issuer's signature so
};

struct Certified {
  format::SecretKey key;
  std::string pem;

  format::CertificateSet set() const { return format::CertificateSet::parse(pem, "test"); }
};

// Issued by `issuer`, or by itself.
Certified make_certificate(const CertificateSpec& spec, const Certified* issuer = nullptr);
Certified make_authority(const std::string& name, const Certified* issuer = nullptr,
                         const std::string& constraints = "critical,CA:TRUE");

// A certificate of any key, signed with any other, PEM. Without an issuer the key signs itself.
std::string certify(evp_pkey_st* key, const CertificateSpec& spec, const std::string& issuer = {},
                    evp_pkey_st* issuer_key = nullptr);
// The same for a key of ours: another certificate of it.
std::string certify(const format::SecretKey& key, const CertificateSpec& spec,
                    const Certified* issuer = nullptr);
std::shared_ptr<evp_pkey_st> rsa_key(unsigned bits);
std::string compressed_pem(const format::PublicKey& key);

// What an authority does to a time stamp beside what it must.
struct StampSpec {
  int seconds = 0, millis = 0;  // of accuracy
  bool sha1 = false;            // hashed for the authority's signature so
};

// The answer of a time-stamp authority to a request, DER, at a time in seconds since 1970.
std::string answer_request(const std::string& request, const Certified& authority,
                           std::int64_t time, const StampSpec& spec = {});
// A request for a stamp over the SHA-1 of these bytes.
std::string sha1_request(const std::string& bytes);

}  // namespace organ::test
