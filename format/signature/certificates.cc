// SPDX-License-Identifier: Apache-2.0
// X.509 certificates as OpenSSL reads them: sets of them, and what one says of itself.
#include "format/signature/certificates.h"

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
void free_pem(void* memory) { OPENSSL_free(memory); }

using Certificate = std::shared_ptr<X509>;
using GeneralNames = std::unique_ptr<GENERAL_NAMES, Deleter<free_names>>;
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

}  // namespace

CertificateSet CertificateSet::parse(std::string_view pem, std::string_view subject,
                                     std::size_t most) {
  const std::size_t blocks = blocks_in(pem);
  if (blocks == 0 || blocks > most || pem.size() > kCertificateFileBytes) {
    fail(ErrorCode::invalid_argument,
         "{}: expected 1 to {} PEM certificates, 1 MiB at most, got {} in {}", quote(subject), most,
         blocks, counted(pem.size(), "byte"));
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
  return parse(read_given_file(path, kCertificateFileBytes), path.string(), most);
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
    if (error.code() == ErrorCode::internal) throw;
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

}  // namespace internal
}  // namespace organ::format
