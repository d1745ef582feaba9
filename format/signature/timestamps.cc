// SPDX-License-Identifier: Apache-2.0
// The one file that wraps OpenSSL's time-stamp protocol (RFC 3161).
#include "format/signature/timestamps.h"

#include <algorithm>
#include <array>
#include <utility>

#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <openssl/ts.h>
#include <openssl/x509.h>

#include "format/base/fail.h"
#include "format/manifest/manifest.h"
#include "format/signature/internal/certificates.h"
#include "format/signature/internal/oms.h"
#include "format/signature/internal/openssl.h"

namespace organ::format::internal {
namespace {

constexpr std::size_t kTimestampBytes = std::size_t{64} << 10;
constexpr std::int64_t kClockSkew = 300;  // seconds that an authority's clock may be ahead of ours

constexpr std::int64_t kMostAccuracy = 86'400;  // seconds
constexpr std::int64_t kMostThousandths = 999;  // RFC 3161, 2.4.2

void free_signers(STACK_OF(X509) * stack) { sk_X509_free(stack); }
void free_der(void* memory) { OPENSSL_free(memory); }

using Response = std::unique_ptr<TS_RESP, Deleter<TS_RESP_free>>;
using Request = std::unique_ptr<TS_REQ, Deleter<TS_REQ_free>>;
using Imprint = std::unique_ptr<TS_MSG_IMPRINT, Deleter<TS_MSG_IMPRINT_free>>;
using Algorithm = std::unique_ptr<X509_ALGOR, Deleter<X509_ALGOR_free>>;
using Verifying = std::unique_ptr<TS_VERIFY_CTX, Deleter<TS_VERIFY_CTX_free>>;
using Signers = std::unique_ptr<STACK_OF(X509), Deleter<free_signers>>;
using Der = std::unique_ptr<unsigned char, Deleter<free_der>>;

[[noreturn]] void refuse(std::string_view subject, std::string_view reason) {
  ERR_clear_error();
  fail(ErrorCode::corrupt, "{}: {}", subject, reason);
}

bool is_strong_hash(const X509_ALGOR* algorithm) {
  const ASN1_OBJECT* object = nullptr;
  if (algorithm != nullptr) X509_ALGOR_get0(&object, nullptr, nullptr, algorithm);
  const int hash = object != nullptr ? OBJ_obj2nid(object) : NID_undef;
  return hash == NID_sha256 || hash == NID_sha384 || hash == NID_sha512;
}

// OpenSSL up to 3.0.18 reads these attributes as the type that they should be of, whatever they are
// (CVE-2025-69420, CVE-2026-22796).
void require_attribute_types(PKCS7_SIGNER_INFO* signer, std::string_view subject) {
  constexpr std::pair<int, int> kTypes[] = {
      {NID_pkcs9_messageDigest, V_ASN1_OCTET_STRING},
      {NID_id_smime_aa_signingCertificate, V_ASN1_SEQUENCE},
      {NID_id_smime_aa_signingCertificateV2, V_ASN1_SEQUENCE}};
  for (const auto& [nid, type] : kTypes) {
    const ASN1_TYPE* value = PKCS7_get_signed_attribute(signer, nid);
    if (value != nullptr && ASN1_TYPE_get(value) != type) {
      refuse(subject, fmt::format("its signed attribute {} has another type", OBJ_nid2sn(nid)));
    }
  }
}

// One response and nothing else, with one signer, and hashes that count.
Response parse_response(std::string_view der, std::string_view subject) {
  if (der.empty() || der.size() > kTimestampBytes) {
    fail(ErrorCode::corrupt, "{}: a time stamp has 1 to {} bytes, got {}", subject, kTimestampBytes,
         der.size());
  }
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const unsigned char* end = at + der.size();
  Response response(d2i_TS_RESP(nullptr, &at, static_cast<long>(der.size())));
  if (response == nullptr || at != end) refuse(subject, "no DER of an RFC 3161 response");
  TS_TST_INFO* info = TS_RESP_get_tst_info(response.get());
  PKCS7* token = TS_RESP_get_token(response.get());
  if (info == nullptr || token == nullptr) refuse(subject, "the response grants no time stamp");
  if (!is_strong_hash(TS_MSG_IMPRINT_get_algo(TS_TST_INFO_get_msg_imprint(info)))) {
    refuse(subject, "it stamps no SHA-256, SHA-384 or SHA-512");
  }
  STACK_OF(PKCS7_SIGNER_INFO)* signers = PKCS7_get_signer_info(token);
  if (signers == nullptr || sk_PKCS7_SIGNER_INFO_num(signers) != 1) {
    refuse(subject, "expected exactly one signer of the time stamp");
  }
  PKCS7_SIGNER_INFO* signer = sk_PKCS7_SIGNER_INFO_value(signers, 0);
  require_attribute_types(signer, subject);
  X509_ALGOR* hash = nullptr;
  PKCS7_SIGNER_INFO_get0_algs(signer, nullptr, &hash, nullptr);
  if (!is_strong_hash(hash)) refuse(subject, "it is signed over no SHA-256, SHA-384 or SHA-512");
  return response;
}

std::int64_t time_of(TS_RESP* response, std::string_view subject) {
  const auto seconds = seconds_of(TS_TST_INFO_get_time(TS_RESP_get_tst_info(response)));
  if (!seconds) refuse(subject, "its time is malformed");
  return *seconds;
}

// One part of an accuracy; what is left out is 0.
std::int64_t accuracy_part(const ASN1_INTEGER* part, std::int64_t most, std::string_view subject) {
  std::int64_t value = 0;
  if (part == nullptr) return value;
  const bool good = ASN1_INTEGER_get_int64(&value, part) == 1 && value >= 0 && value <= most;
  if (!good) refuse(subject, "its accuracy is malformed or longer than a day");
  return value;
}

// The seconds by which the true time may be later than the one that stands there, rounded up.
std::int64_t leeway_of(TS_RESP* response, std::string_view subject) {
  TS_TST_INFO* info = TS_RESP_get_tst_info(response);
  const ASN1_GENERALIZEDTIME* time = TS_TST_INFO_get_time(info);
  const std::string_view text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(time)),
                              static_cast<std::size_t>(ASN1_STRING_length(time)));
  const std::int64_t fraction = text.find('.') == text.npos ? 0 : 1;  // of genTime itself
  const TS_ACCURACY* accuracy = TS_TST_INFO_get_accuracy(info);
  if (accuracy == nullptr) return fraction;
  const auto millis = accuracy_part(TS_ACCURACY_get_millis(accuracy), kMostThousandths, subject);
  const auto micros = accuracy_part(TS_ACCURACY_get_micros(accuracy), kMostThousandths, subject);
  const auto seconds = accuracy_part(TS_ACCURACY_get_seconds(accuracy), kMostAccuracy, subject);
  return seconds + fraction + (millis > 0 || micros > 0 ? 1 : 0);
}

// Throws unless OpenSSL finds what `flags` ask for. A store is judged at the time it was made for.
void verify_response(TS_RESP* response, unsigned flags, std::string_view signature,
                     CertificateStore store, std::string_view subject) {
  const Verifying context(TS_VERIFY_CTX_new());
  require_openssl(context != nullptr, "TS_VERIFY_CTX_new");
  TS_VERIFY_CTX_set_flags(context.get(), static_cast<int>(flags | TS_VFY_VERSION | TS_VFY_DATA));
  // The context owns both from here on.
  TS_VERIFY_CTX_set_data(context.get(), memory_bio(signature).release());
  if (store != nullptr) TS_VERIFY_CTX_set_store(context.get(), store.release());
  if (TS_RESP_verify_response(context.get(), response) == 1) {
    ERR_clear_error();
    return;
  }
  const std::string reason = openssl_reason();
  refuse(subject, reason);
}

std::string signer_of(TS_RESP* response) {
  const Signers signers(PKCS7_get0_signers(TS_RESP_get_token(response), nullptr, 0));
  ERR_clear_error();
  if (signers == nullptr || sk_X509_num(signers.get()) != 1) return "an authority without a name";
  return name_text(X509_get_subject_name(sk_X509_value(signers.get(), 0)));
}

StampedTime prove(std::string_view der, std::string_view signature, const CertificateTrust& trust,
                  std::string_view subject) {
  const Response response = parse_response(der, subject);
  const std::int64_t seconds = time_of(response.get(), subject);
  const std::int64_t now = trust.now.value_or(clock_seconds());
  if (seconds > now + kClockSkew) {
    fail(ErrorCode::corrupt, "{}: it is of {}, which is to come", subject, time_text(seconds));
  }
  // An authority is judged at the time that it stamped, as Sigstore does: its certificate ends too.
  verify_response(response.get(), TS_VFY_SIGNATURE | TS_VFY_SIGNER, signature,
                  store_of(trust.tsa_roots, seconds), subject);
  return {seconds + leeway_of(response.get(), subject), signer_of(response.get())};
}

}  // namespace

std::vector<StampedTime> proven_times(const std::vector<std::string>& timestamps,
                                      std::string_view signature, const CertificateTrust& trust,
                                      std::vector<std::string>& refused) {
  std::vector<StampedTime> proven;
  if (!timestamps.empty() && trust.tsa_roots.empty()) {
    refused.emplace_back("its time stamps count only with the roots of a time-stamp authority");
    return proven;
  }
  for (std::size_t i = 0; i < timestamps.size(); ++i) {
    try {
      proven.push_back(prove(timestamps[i], signature, trust, fmt::format("time stamp {}", i)));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupt) throw;
      refused.push_back(error.message());
    }
  }
  std::ranges::sort(proven, {}, &StampedTime::seconds);
  return proven;
}

void require_timestamp_of(std::string_view response, std::string_view signature,
                          std::string_view subject) {
  const Response parsed = parse_response(response, subject);
  time_of(parsed.get(), subject);
  verify_response(parsed.get(), 0, signature, nullptr, subject);
}

std::string timestamp_request(std::string_view bytes) {
  const Digest digest = sha256(bytes);
  const Request request(TS_REQ_new());
  const Imprint imprint(TS_MSG_IMPRINT_new());
  const Algorithm algorithm(X509_ALGOR_new());
  require_openssl(request && imprint && algorithm, "TS_REQ_new");
  std::array<std::uint8_t, Digest::kSize> copy = digest.bytes();
  const bool filled =
      X509_ALGOR_set0(algorithm.get(), OBJ_nid2obj(NID_sha256), V_ASN1_NULL, nullptr) == 1 &&
      TS_MSG_IMPRINT_set_algo(imprint.get(), algorithm.get()) == 1 &&
      TS_MSG_IMPRINT_set_msg(imprint.get(), copy.data(), static_cast<int>(copy.size())) == 1 &&
      TS_REQ_set_version(request.get(), 1) == 1 &&
      TS_REQ_set_msg_imprint(request.get(), imprint.get()) == 1 &&
      TS_REQ_set_cert_req(request.get(), 1) == 1;
  require_openssl(filled, "TS_REQ");
  unsigned char* written = nullptr;
  const int size = i2d_TS_REQ(request.get(), &written);
  const Der owned(written);
  require_openssl(size > 0, "i2d_TS_REQ");
  return {reinterpret_cast<const char*>(written), static_cast<std::size_t>(size)};
}

}  // namespace organ::format::internal

namespace organ::format {
namespace {

internal::Envelope certified_envelope(std::string_view bundle, std::string_view subject) {
  internal::Envelope envelope = internal::parse_bundle(bundle, subject);
  if (envelope.chain.empty()) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: signed with a bare key, which has no end that a time stamp could "
                            "matter for",
                            subject),
                "organ sign --certificate signs with a certificate");
  }
  return envelope;
}

}  // namespace

std::string timestamp_request(std::string_view bundle, std::string_view subject) {
  return internal::timestamp_request(certified_envelope(bundle, subject).signature);
}

std::string with_timestamp(std::string_view bundle, std::string_view response,
                           std::string_view subject) {
  const internal::Envelope envelope = certified_envelope(bundle, subject);
  try {
    internal::require_timestamp_of(response, envelope.signature, "the time stamp");
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt) throw;
    throw Error(ErrorCode::invalid_argument, error.message(),
                "organ sign DIR --timestamp-request FILE writes what to send to the authority");
  }
  const auto& there = envelope.timestamps;
  if (std::find(there.begin(), there.end(), response) != there.end()) {
    fail(ErrorCode::invalid_argument, "{}: has this time stamp already", subject);
  }
  if (there.size() >= kMostTimestamps) {
    fail(ErrorCode::invalid_argument, "{}: has {} time stamps, the most there may be", subject,
         there.size());
  }
  std::string stamped = internal::add_timestamp(bundle, response, subject);
  try {
    internal::parse_bundle(stamped, subject);  // what we refuse to read we do not write
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt) throw;
    throw Error(ErrorCode::invalid_argument, error.message(), "the signature stays as it is");
  }
  return stamped;
}

}  // namespace organ::format
