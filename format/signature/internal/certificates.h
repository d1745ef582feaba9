// SPDX-License-Identifier: Apache-2.0
// What certificates.cc, certificate_fitness.cc and timestamps.cc give to the files that read and
// write bundles.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/handle.h"
#include "format/signature/certificates.h"
#include "format/signature/signing.h"

struct asn1_string_st;
struct X509_name_st;
struct x509_store_st;

namespace organ::format::internal {

void free_store(x509_store_st* store) noexcept;
using CertificateStore = std::unique_ptr<x509_store_st, Deleter<free_store>>;

// The roots alone, judging at `time`; weak keys and hashes (below 112 bits) are refused.
CertificateStore store_of(const CertificateSet& roots, std::int64_t time);

// The key of the first certificate. Throws corrupt when it is none that OMS signs with.
PublicKey leaf_key(const CertificateSet& chain, std::string_view subject);

// What the first certificate says of itself, nothing checked. Throws corrupt for names that are
// none: NUL or control characters, too long, too many.
CertificateSigner describe_leaf(const CertificateSet& chain, std::string_view subject);

// A time that a trusted authority proved.
struct StampedTime {
  std::int64_t seconds = 0;  // the latest that it can have been: the accuracy it states is added
  std::string authority;     // its subject
};

// Throws untrusted unless the chain ends in a root of `trust`, was valid at one of the stamped
// times or is valid now, its leaf may sign, and it is the identity that was asked for. The first
// time that makes it good is named; `notes` gets why those before it do not.
CertificateSigner judge_chain(const CertificateSet& chain, const CertificateTrust& trust,
                              const std::vector<StampedTime>& stamped,
                              std::vector<std::string>& notes, std::string_view subject);

// Throws invalid_argument when no verifier would take a signature of this chain and key now.
void require_signer(const CertificateSet& chain, const PublicKey& key);

// The times that the RFC 3161 responses prove for the signature, the earliest first. `refused` gets
// why others prove nothing.
std::vector<StampedTime> proven_times(const std::vector<std::string>& timestamps,
                                      std::string_view signature, const CertificateTrust& trust,
                                      std::vector<std::string>& refused);

// Throws corrupt unless the DER is a granted response that stamps exactly this signature. Proves
// nothing: who stamped it is not looked at.
void require_timestamp_of(std::string_view response, std::string_view signature,
                          std::string_view subject);

// RFC 3161: the request for a time stamp of these bytes (SHA-256, certificate included). DER.
std::string timestamp_request(std::string_view bytes);

std::string name_text(const X509_name_st* name);  // RFC 4514; empty when it cannot be written
// Seconds since 1970; nothing when it is no time.
std::optional<std::int64_t> seconds_of(const asn1_string_st* time);

}  // namespace organ::format::internal
