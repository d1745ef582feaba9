// SPDX-License-Identifier: Apache-2.0
// X.509 certificates as signers of OMS bundles (OMS v1.0, certificate method): RFC 5280 chains that
// end in a root which the caller gave, never in one of the system or of the bundle. Times come from
// RFC 3161 time stamps of an authority that the caller trusts, or else from the clock.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"

struct x509_st;

#pragma GCC visibility push(default)

namespace organ::format {

inline constexpr std::size_t kMostCertificates = 10;  // of one bundle; a given root may follow
inline constexpr std::size_t kMostRoots = 256;        // of one file
inline constexpr std::size_t kMostTimestamps = 8;     // of one bundle

// Certificates in the order in which they were given. Handles are shared, so copies are cheap, and
// no certificate ever changes; append() changes the one set that it is called on.
class CertificateSet {
 public:
  CertificateSet() = default;
  // PEM blocks `CERTIFICATE`, one to `most`, text around them allowed; 1 MiB at most. Throws
  // invalid_argument (none, too many, a private key or another block among them, trailing DER).
  static CertificateSet parse(std::string_view pem, std::string_view subject,
                              std::size_t most = kMostRoots);
  // The same; also for what is no regular file, or too large. Throws not_found, io.
  static CertificateSet load(const std::filesystem::path& path, std::size_t most = kMostRoots);
  // DER, leaf first, as in a bundle. Throws corrupt: malformed, trailing bytes, above 64 KiB, none
  // or more than kMostCertificates.
  static CertificateSet from_der(const std::vector<std::string>& chain, std::string_view subject);

  void append(const CertificateSet& more);  // behind those here; equal ones stand twice then
  bool empty() const { return certificates_.empty(); }
  std::size_t size() const { return certificates_.size(); }
  // OpenSSL's handle, lent as long as a set holds it. Indices below size().
  x509_st* at(std::size_t index) const { return certificates_.at(index).get(); }
  std::string der(std::size_t index) const;

 private:
  std::vector<std::shared_ptr<x509_st>> certificates_;  // shared: OpenSSL counts references
};

// Who signed, by the certificate's own words, which a trusted root confirmed.
struct CertificateSigner {
  std::string subject;                         // RFC 4514: CN=Legal Team,O=Acme
  std::vector<std::string> names;              // subjectAltName: email:…, DNS:…, URI:…
  Digest fingerprint;                          // SHA-256 of the DER
  std::int64_t not_before = 0, not_after = 0;  // seconds since 1970, both included
  // The time that a trusted authority proved and the chain was judged at; nullopt: it was judged by
  // the clock, or (read_bundle()) not at all.
  std::optional<std::int64_t> stamped;
  std::string stamped_by;  // that authority's subject

  // One line for people, escaped: the subject and, in brackets, the names.
  std::string describe() const;
};

// What a certificate is judged by. Trust comes from here alone.
struct CertificateTrust {
  CertificateSet roots;  // authorities that may vouch for signers; empty: nobody counts
  // Authorities that may vouch for times; empty: time stamps prove nothing, and a chain is judged
  // at `now`.
  CertificateSet tsa_roots;
  // The subject or one name, byte for byte as CertificateSigner writes it; "": anyone whom the
  // roots vouch for.
  std::string identity;
  std::optional<std::int64_t> now = std::nullopt;  // seconds since 1970 [default: the clock]
};

}  // namespace organ::format

#pragma GCC visibility pop
