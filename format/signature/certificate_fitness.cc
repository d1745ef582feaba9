// SPDX-License-Identifier: Apache-2.0
// What a certificate must be to sign, or to issue one that signs, and who vouches for it: RFC 5280
// by OpenSSL, and what OMS adds.
#include <algorithm>
#include <ctime>
#include <utility>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "format/base/fail.h"
#include "format/manifest/manifest.h"
#include "format/signature/internal/certificates.h"
#include "format/signature/internal/openssl.h"

namespace organ::format::internal {
namespace {

void free_certificates(STACK_OF(X509) * stack) { sk_X509_free(stack); }

using CertificateStack = std::unique_ptr<STACK_OF(X509), Deleter<free_certificates>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Deleter<X509_STORE_CTX_free>>;

bool has(X509* certificate, std::uint32_t flag) {
  return (X509_get_extension_flags(certificate) & flag) != 0;
}

// RFC 5280, 4.2.1.12: where purposes are named, the key is for them alone, whatever keyUsage says.
bool purposes_allow_code(X509* certificate) {
  if (!has(certificate, EXFLAG_XKUSAGE)) return true;
  return (X509_get_extended_key_usage(certificate) & (XKU_CODE_SIGN | XKU_ANYEKU)) != 0;
}

// OMS: keyUsage digitalSignature; a certificate without keyUsage names the purpose codeSigning.
bool may_sign(X509* leaf) {
  if (has(leaf, EXFLAG_KUSAGE)) return (X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) != 0;
  return has(leaf, EXFLAG_XKUSAGE) && (X509_get_extended_key_usage(leaf) & XKU_CODE_SIGN) != 0;
}

// Why a leaf signs nothing, whoever vouches for it; empty: it may.
std::string unfit_leaf(X509* leaf) {
  if (has(leaf, EXFLAG_INVALID)) return "its extensions are malformed or stand there twice";
  if (has(leaf, EXFLAG_CA)) return "it is an authority's (CA:TRUE), not a signer's";
  if (!may_sign(leaf)) {
    return "it may not sign: neither keyUsage digitalSignature nor, without keyUsage, the purpose "
           "codeSigning";
  }
  if (!purposes_allow_code(leaf)) {
    return "it may not sign: its purposes (extendedKeyUsage) are others than codeSigning";
  }
  return {};
}

// Each issuer says that it is one; OpenSSL alone lets old forms pass that do not. The purposes of a
// root are not asked: the caller gave it.
std::string unfit_issuer(const STACK_OF(X509) * chain) {
  const int count = sk_X509_num(chain);
  for (int i = 1; i < count; ++i) {
    X509* issuer = sk_X509_value(chain, i);
    const std::string name = quote(name_text(X509_get_subject_name(issuer)));
    if (has(issuer, EXFLAG_INVALID)) {
      return fmt::format("issuer {} has extensions that are malformed or stand there twice", name);
    }
    if (!has(issuer, EXFLAG_BCONS) || !has(issuer, EXFLAG_CA)) {
      return fmt::format("issuer {} has no basicConstraints CA:TRUE", name);
    }
    if (i + 1 < count && !purposes_allow_code(issuer)) {
      return fmt::format("issuer {} is for purposes other than codeSigning", name);
    }
  }
  return {};
}

std::string reason_of(const X509_STORE_CTX* context, const CertificateSigner& leaf,
                      std::int64_t time) {
  const int code = X509_STORE_CTX_get_error(context);
  const int depth = X509_STORE_CTX_get_error_depth(context);
  if (depth == 0 && code == X509_V_ERR_CERT_HAS_EXPIRED) {
    return fmt::format("it ended at {}, judged at {}", time_text(leaf.not_after), time_text(time));
  }
  if (depth == 0 && code == X509_V_ERR_CERT_NOT_YET_VALID) {
    return fmt::format("it begins at {}, judged at {}", time_text(leaf.not_before),
                       time_text(time));
  }
  return fmt::format("{} (at depth {})", X509_verify_cert_error_string(code), depth);
}

// Why the roots do not vouch for the chain at that time; empty: they do.
std::string unvouched(const CertificateSet& chain, const CertificateSet& roots,
                      const CertificateSigner& leaf, std::int64_t time) {
  const CertificateStore store = store_of(roots, time);
  const CertificateStack untrusted(sk_X509_new_null());
  const StoreContext context(X509_STORE_CTX_new());
  require_openssl(untrusted != nullptr && context != nullptr, "X509_STORE_CTX_new");
  for (std::size_t i = 1; i < chain.size(); ++i) {
    require_openssl(sk_X509_push(untrusted.get(), chain.at(i)) > 0, "sk_X509_push");
  }
  require_openssl(
      X509_STORE_CTX_init(context.get(), store.get(), chain.at(0), untrusted.get()) == 1,
      "X509_STORE_CTX_init");
  const int verdict = X509_verify_cert(context.get());
  ERR_clear_error();
  if (verdict != 1) return reason_of(context.get(), leaf, time);
  return unfit_issuer(X509_STORE_CTX_get0_chain(context.get()));
}

bool is_identity(const CertificateSigner& signer, const std::string& identity) {
  if (identity.empty() || identity == signer.subject) return true;
  return std::find(signer.names.begin(), signer.names.end(), identity) != signer.names.end();
}

// The roots' word at the earliest stamped time at which it is good, else now: stamps are in no
// signature, so taking one away must not make more count than leaving it.
std::string judge_times(const CertificateSet& chain, const CertificateTrust& trust,
                        const std::vector<StampedTime>& stamped, CertificateSigner& signer,
                        std::vector<std::string>& notes) {
  for (const StampedTime& one : stamped) {
    const std::string then = unvouched(chain, trust.roots, signer, one.seconds);
    if (then.empty()) {
      signer.stamped = one.seconds;
      signer.stamped_by = one.authority;
      return {};
    }
    notes.push_back(fmt::format("the time that {} stamped does not help: {}",
                                escape_text(one.authority), then));
  }
  return unvouched(chain, trust.roots, signer, trust.now.value_or(clock_seconds()));
}

// What every verifier would refuse about certificates that follow one another.
std::string broken_chain(const CertificateSet& chain) {
  for (std::size_t i = 0; i < chain.size(); ++i) {
    X509* one = chain.at(i);
    const std::string name = quote(name_text(X509_get_subject_name(one)));
    if (has(one, EXFLAG_INVALID)) return fmt::format("{} has malformed extensions", name);
    if (has(one, EXFLAG_CRITICAL)) {
      return fmt::format("{} has a critical extension that nobody knows", name);
    }
    if (i == 0) continue;
    if (X509_check_issued(one, chain.at(i - 1)) != X509_V_OK) {
      return fmt::format(
          "{} did not issue the certificate before it: the nearest issuer comes first", name);
    }
  }
  return {};
}

// Of a certificate that the caller gave: what is wrong with it is no damage.
std::pair<CertificateSigner, KeyId> describe_signer(const CertificateSet& chain) {
  constexpr std::string_view kSubject = "the signer's certificate";
  try {
    return {describe_leaf(chain, kSubject), leaf_key(chain, kSubject).id()};
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt) throw;
    throw Error(ErrorCode::invalid_argument, error.message(), error.hint());
  }
}

}  // namespace

CertificateSigner judge_chain(const CertificateSet& chain, const CertificateTrust& trust,
                              const std::vector<StampedTime>& stamped,
                              std::vector<std::string>& notes, std::string_view subject) {
  CertificateSigner signer = describe_leaf(chain, subject);
  std::string reason = unfit_leaf(chain.at(0));
  if (reason.empty()) reason = judge_times(chain, trust, stamped, signer, notes);
  if (!reason.empty()) {
    fail(ErrorCode::untrusted, "{}: certificate of {}: {}", subject, signer.describe(), reason);
  }
  if (!is_identity(signer, trust.identity)) {
    throw Error(ErrorCode::untrusted,
                fmt::format("{}: signed by {}, expected {}", subject, signer.describe(),
                            quote(trust.identity)),
                "--identity takes the subject or one name, exactly as shown");
  }
  return signer;
}

void require_signer(const CertificateSet& chain, const PublicKey& key) {
  const auto [signer, held] = describe_signer(chain);
  if (held != key.id()) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("certificate of {}: holds another key than the private key", signer.describe()),
        "give the certificate that was issued for this key");
  }
  if (chain.size() > kMostCertificates) {
    fail(ErrorCode::invalid_argument, "a chain has at most {} certificates, got {}",
         kMostCertificates, chain.size());
  }
  std::string reason = unfit_leaf(chain.at(0));
  const std::int64_t now = clock_seconds();
  if (reason.empty() && (now < signer.not_before || now > signer.not_after)) {
    reason = fmt::format("it is valid from {} to {}", time_text(signer.not_before),
                         time_text(signer.not_after));
  }
  if (reason.empty()) reason = broken_chain(chain);
  if (!reason.empty()) {
    fail(ErrorCode::invalid_argument, "certificate of {}: {}", signer.describe(), reason);
  }
}

}  // namespace organ::format::internal
