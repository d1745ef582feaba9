// SPDX-License-Identifier: Apache-2.0
// The one file that wraps OpenSSL's X.509.
#include "format/signature/certificates.h"

#include <algorithm>
#include <ctime>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/manifest/manifest.h"
#include "format/signature/internal/certificates.h"
#include "format/signature/internal/openssl.h"

namespace organ::format {
namespace {

constexpr std::uint64_t kCertificateFileBytes = std::uint64_t{1} << 20;
constexpr std::size_t kCertificateBytes = std::size_t{64} << 10;
constexpr std::size_t kSignerNameBytes = 4096;
constexpr std::size_t kMostNames = 64;
// OpenSSL's level of 112 bits (NIST SP 800-57): RSA from 2048 bits, SHA-1 and MD5 sign nothing.
constexpr int kSecurityLevel = 2;

void free_names(GENERAL_NAMES* names) { GENERAL_NAMES_free(names); }
void free_certificates(STACK_OF(X509) * stack) { sk_X509_free(stack); }
void free_pem(void* memory) { OPENSSL_free(memory); }

using Certificate = std::shared_ptr<X509>;
using GeneralNames = std::unique_ptr<GENERAL_NAMES, Deleter<free_names>>;
using CertificateStack = std::unique_ptr<STACK_OF(X509), Deleter<free_certificates>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Deleter<X509_STORE_CTX_free>>;
template <typename T>
using PemPart = std::unique_ptr<T, Deleter<free_pem>>;

// Null unless these bytes are one certificate and nothing else.
Certificate certificate_of(std::string_view der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const unsigned char* end = at + der.size();
  Certificate certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())), X509_free);
  ERR_clear_error();
  return at == end ? certificate : nullptr;
}

// The next PEM block of any kind; false at the end.
bool read_block(bio_st* bio, std::string& name, std::string& header, std::string& der) {
  char* raw_name = nullptr;
  char* raw_header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  const bool found = PEM_read_bio(bio, &raw_name, &raw_header, &data, &size) == 1;
  const PemPart<char> owned_name(raw_name), owned_header(raw_header);
  const PemPart<unsigned char> owned_data(data);
  if (!found) return false;
  name = raw_name;
  header = raw_header;
  der.assign(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
  return true;
}

std::size_t blocks_in(std::string_view pem) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  std::size_t count = 0;
  for (std::size_t at = pem.find(kBegin); at != pem.npos; at = pem.find(kBegin, at + 1)) ++count;
  return count;
}

// Text of an ASN.1 string as it is shown and compared; nothing when people could misread it.
std::optional<std::string> readable(const ASN1_STRING* text) {
  const int size = ASN1_STRING_length(text);
  if (size <= 0 || static_cast<std::size_t>(size) > kSignerNameBytes) return std::nullopt;
  const auto* data = reinterpret_cast<const char*>(ASN1_STRING_get0_data(text));
  std::string name(data, static_cast<std::size_t>(size));
  if (escape_text(name, kSignerNameBytes + 1) != name) return std::nullopt;
  return name;
}

// A name of a kind that names a signer; nothing for others (addresses, directory names).
std::optional<std::string> alternative_name(const GENERAL_NAME* name, std::string_view subject) {
  int kind = 0;
  const void* value = GENERAL_NAME_get0_value(name, &kind);
  std::string_view prefix;
  if (kind == GEN_EMAIL) prefix = "email:";
  if (kind == GEN_DNS) prefix = "DNS:";
  if (kind == GEN_URI) prefix = "URI:";
  if (prefix.empty()) return std::nullopt;
  const auto text = readable(static_cast<const ASN1_STRING*>(value));
  if (!text) {
    fail(ErrorCode::corrupt, "{}: a name of the certificate is empty, too long or unprintable",
         subject);
  }
  return std::string(prefix) + *text;
}

std::vector<std::string> alternative_names(X509* certificate, std::string_view subject) {
  int critical = 0;
  const GeneralNames names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, nullptr)));
  ERR_clear_error();
  std::vector<std::string> list;
  if (names == nullptr) {
    if (critical == -1) return list;  // it has none
    fail(ErrorCode::corrupt, "{}: the certificate's names (subjectAltName) are malformed", subject);
  }
  const int count = sk_GENERAL_NAME_num(names.get());
  if (count > static_cast<int>(kMostNames)) {
    fail(ErrorCode::corrupt, "{}: the certificate has {} names, at most {} are read", subject,
         count, kMostNames);
  }
  for (int i = 0; i < count; ++i) {
    auto name = alternative_name(sk_GENERAL_NAME_value(names.get(), i), subject);
    if (name) list.push_back(std::move(*name));
  }
  return list;
}

// OMS: keyUsage digitalSignature; a certificate without keyUsage needs the purpose codeSigning.
bool may_sign(X509* leaf) {
  const std::uint32_t flags = X509_get_extension_flags(leaf);
  if ((flags & EXFLAG_KUSAGE) != 0) return (X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) != 0;
  return (flags & EXFLAG_XKUSAGE) != 0 && (X509_get_extended_key_usage(leaf) & XKU_CODE_SIGN) != 0;
}

// Why a leaf signs nothing, whoever vouches for it; empty: it may.
std::string unfit_leaf(X509* leaf) {
  const std::uint32_t flags = X509_get_extension_flags(leaf);
  if ((flags & EXFLAG_INVALID) != 0) return "its extensions are malformed or stand there twice";
  if ((flags & EXFLAG_CA) != 0) return "it is an authority's (CA:TRUE), not a signer's";
  if (!may_sign(leaf)) {
    return "it may not sign: neither keyUsage digitalSignature nor, without keyUsage, the purpose "
           "codeSigning";
  }
  return {};
}

// Each issuer says that it is one; OpenSSL alone lets old forms pass that do not.
std::string unfit_issuer(const STACK_OF(X509) * chain) {
  for (int i = 1; i < sk_X509_num(chain); ++i) {
    X509* issuer = sk_X509_value(chain, i);
    const std::uint32_t flags = X509_get_extension_flags(issuer);
    if ((flags & EXFLAG_BCONS) == 0 || (flags & EXFLAG_CA) == 0) {
      return fmt::format("issuer {} has no basicConstraints CA:TRUE",
                         quote(internal::name_text(X509_get_subject_name(issuer))));
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
  const internal::CertificateStore store = internal::store_of(roots, time);
  const CertificateStack untrusted(sk_X509_new_null());
  const StoreContext context(X509_STORE_CTX_new());
  internal::require_openssl(untrusted != nullptr && context != nullptr, "X509_STORE_CTX_new");
  for (std::size_t i = 1; i < chain.size(); ++i) {
    internal::require_openssl(sk_X509_push(untrusted.get(), chain.at(i)) > 0, "sk_X509_push");
  }
  internal::require_openssl(
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

}  // namespace

CertificateSet CertificateSet::parse(std::string_view pem, std::string_view subject,
                                     std::size_t most) {
  const std::size_t blocks = blocks_in(pem);
  if (blocks == 0 || blocks > most || pem.size() > kCertificateFileBytes) {
    fail(ErrorCode::invalid_argument,
         "{}: expected 1 to {} PEM certificates, 1 MiB at most, got {} in {} bytes", quote(subject),
         most, blocks, pem.size());
  }
  CertificateSet set;
  const internal::Bio bio = internal::memory_bio(pem);
  std::string name, header, der;
  while (read_block(bio.get(), name, header, der)) {
    if (name != "CERTIFICATE" || !header.empty()) {
      fail(ErrorCode::invalid_argument, "{}: expected a PEM certificate, got {}", quote(subject),
           header.empty() ? quote(name) : "an encrypted block");
    }
    Certificate certificate = der.size() <= kCertificateBytes ? certificate_of(der) : Certificate();
    if (certificate == nullptr) {
      fail(ErrorCode::invalid_argument, "{}: certificate {} is malformed or above 64 KiB",
           quote(subject), set.size() + 1);
    }
    set.certificates_.push_back(std::move(certificate));
  }
  ERR_clear_error();
  if (set.size() != blocks) {
    fail(ErrorCode::invalid_argument, "{}: PEM block {} of {} is malformed", quote(subject),
         set.size() + 1, blocks);
  }
  return set;
}

CertificateSet CertificateSet::load(const std::filesystem::path& path, std::size_t most) {
  const UniqueFd fd = open_regular(path);
  if (const std::uint64_t size = file_size(fd.get(), path.string()); size > kCertificateFileBytes) {
    fail(ErrorCode::invalid_argument, "{}: certificates have at most {} bytes, got {}",
         quote(path.string()), kCertificateFileBytes, size);
  }
  return parse(read_fd(fd.get(), kCertificateFileBytes, path.string()), path.string(), most);
}

CertificateSet CertificateSet::from_der(const std::vector<std::string>& chain,
                                        std::string_view subject) {
  if (chain.empty() || chain.size() > kMostCertificates) {
    fail(ErrorCode::corrupt, "{}: expected 1 to {} certificates, got {}", subject,
         kMostCertificates, chain.size());
  }
  CertificateSet set;
  for (const std::string& der : chain) {
    Certificate certificate = der.size() <= kCertificateBytes ? certificate_of(der) : Certificate();
    if (certificate == nullptr) {
      fail(ErrorCode::corrupt, "{}: certificate {} is malformed or above 64 KiB", subject,
           set.size());
    }
    set.certificates_.push_back(std::move(certificate));
  }
  return set;
}

void CertificateSet::append(const CertificateSet& more) {
  certificates_.insert(certificates_.end(), more.certificates_.begin(), more.certificates_.end());
}

std::string CertificateSet::der(std::size_t index) const {
  unsigned char* written = nullptr;
  const int size = i2d_X509(at(index), &written);
  const PemPart<unsigned char> owned(written);
  internal::require_openssl(size > 0, "i2d_X509");
  return {reinterpret_cast<const char*>(written), static_cast<std::size_t>(size)};
}

std::string CertificateSigner::describe() const {
  std::string text = escape_text(subject.empty() ? "a certificate without a subject" : subject);
  for (std::size_t i = 0; i < names.size(); ++i) {
    text += (i == 0 ? " (" : ", ") + escape_text(names[i]);
  }
  return names.empty() ? text : text + ")";
}

namespace internal {

void free_store(x509_store_st* store) noexcept { X509_STORE_free(store); }

std::string name_text(const X509_name_st* name) {
  const Bio bio = empty_bio();
  constexpr unsigned long kForm = XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB;
  const bool written = X509_NAME_print_ex(bio.get(), name, 0, kForm) >= 0;
  ERR_clear_error();
  return written ? text_of(bio.get()) : std::string();
}

std::optional<std::int64_t> seconds_of(const asn1_string_st* time) {
  std::tm parts = {};
  const bool good = time != nullptr && ASN1_TIME_to_tm(time, &parts) == 1;
  ERR_clear_error();
  if (!good) return std::nullopt;
  return static_cast<std::int64_t>(::timegm(&parts));
}

CertificateStore store_of(const CertificateSet& roots, std::int64_t time) {
  CertificateStore store(X509_STORE_new());
  require_openssl(store != nullptr, "X509_STORE_new");
  for (std::size_t i = 0; i < roots.size(); ++i) {
    require_openssl(X509_STORE_add_cert(store.get(), roots.at(i)) == 1, "X509_STORE_add_cert");
  }
  X509_VERIFY_PARAM* param = X509_STORE_get0_param(store.get());
  X509_VERIFY_PARAM_set_time(param, static_cast<std::time_t>(time));
  X509_VERIFY_PARAM_set_depth(param, static_cast<int>(kMostCertificates));
  X509_VERIFY_PARAM_set_auth_level(param, kSecurityLevel);
  return store;
}

PublicKey leaf_key(const CertificateSet& chain, std::string_view subject) {
  EVP_PKEY* key = X509_get0_pubkey(chain.at(0));
  ERR_clear_error();
  if (key == nullptr) {
    fail(ErrorCode::corrupt, "{}: the certificate's key is malformed", subject);
  }
  try {
    return PublicKey::parse(public_pem(key), subject);
  } catch (const Error& error) {  // a key that no PEM can hold is the certificate's fault too
    throw Error(ErrorCode::corrupt, error.message() + ", in its certificate");
  }
}

CertificateSigner describe_leaf(const CertificateSet& chain, std::string_view subject) {
  X509* leaf = chain.at(0);
  CertificateSigner signer;
  signer.subject = name_text(X509_get_subject_name(leaf));
  signer.names = alternative_names(leaf, subject);
  signer.fingerprint = sha256(chain.der(0));
  const auto begin = seconds_of(X509_get0_notBefore(leaf));
  const auto end = seconds_of(X509_get0_notAfter(leaf));
  const bool unread =
      signer.subject.empty() && X509_NAME_entry_count(X509_get_subject_name(leaf)) > 0;
  if (!begin || !end || unread || signer.subject.size() > kSignerNameBytes) {
    fail(ErrorCode::corrupt, "{}: the certificate's {}", subject,
         begin && end ? "subject is malformed or too long" : "dates are malformed");
  }
  signer.not_before = *begin;
  signer.not_after = *end;
  return signer;
}

CertificateSigner judge_chain(const CertificateSet& chain, const CertificateTrust& trust,
                              const std::optional<StampedTime>& stamped, std::string_view subject) {
  CertificateSigner signer = describe_leaf(chain, subject);
  const std::int64_t time = stamped ? stamped->seconds : trust.now.value_or(clock_seconds());
  std::string reason = unfit_leaf(chain.at(0));
  if (reason.empty()) reason = unvouched(chain, trust.roots, signer, time);
  if (!reason.empty()) {
    fail(ErrorCode::untrusted, "{}: certificate of {}: {}", subject, signer.describe(), reason);
  }
  if (!is_identity(signer, trust.identity)) {
    throw Error(ErrorCode::untrusted,
                fmt::format("{}: signed by {}, expected {}", subject, signer.describe(),
                            quote(trust.identity)),
                "--identity takes the subject or one name, exactly as shown");
  }
  if (stamped) {
    signer.stamped = stamped->seconds;
    signer.stamped_by = stamped->authority;
  }
  return signer;
}

void require_signer(const CertificateSet& chain, const PublicKey& key) {
  constexpr std::string_view kSubject = "the signer's certificate";
  const CertificateSigner signer = describe_leaf(chain, kSubject);
  if (leaf_key(chain, kSubject).id() != key.id()) {
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
  if (!reason.empty()) {
    fail(ErrorCode::invalid_argument, "certificate of {}: {}", signer.describe(), reason);
  }
}

}  // namespace internal
}  // namespace organ::format
