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
  std::string name = "leaf";  // CN; O is Acme
  // Name and value as in openssl's configuration: {"keyUsage", "digitalSignature"}.
  std::vector<std::pair<std::string, std::string>> extensions = {};
  std::int64_t begin = -3600, end = 3600;  // seconds from now
  format::Curve curve = format::Curve::p256;
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

// The answer of a time-stamp authority to a request, DER, at a time in seconds since 1970.
std::string answer_request(const std::string& request, const Certified& authority,
                           std::int64_t time);

}  // namespace organ::test
