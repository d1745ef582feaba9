// SPDX-License-Identifier: Apache-2.0
// The one file that wraps OpenSSL's keys and ECDSA.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/file_system.h"
#include "format/base/handle.h"
#include "format/signature/internal/oms.h"
#include "format/signature/internal/openssl.h"
#include "format/signature/signing.h"

namespace organ::format {

using internal::Bio;
using internal::memory_bio;
using internal::openssl_reason;
using internal::public_pem;
using internal::require_openssl;
using internal::text_of;

namespace {

using Context = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX_free>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Group = std::unique_ptr<EC_GROUP, Deleter<EC_GROUP_free>>;
using EcdsaSignature = std::unique_ptr<ECDSA_SIG, Deleter<ECDSA_SIG_free>>;
using Pkcs8Info = std::unique_ptr<PKCS8_PRIV_KEY_INFO, Deleter<PKCS8_PRIV_KEY_INFO_free>>;
using EncryptedPkcs8 = std::unique_ptr<X509_SIG, Deleter<X509_SIG_free>>;

void free_openssl(void* memory) { OPENSSL_free(memory); }
using Bytes = std::unique_ptr<unsigned char, Deleter<free_openssl>>;

constexpr std::uint64_t kKeyFileBytes = std::uint64_t{64} << 10;
constexpr std::size_t kPassphraseBytes = 1024;
constexpr int kPbkdf2Rounds = 600'000;  // OWASP's figure for PBKDF2 with SHA-256

struct CurveFacts {
  Curve curve;
  std::string_view group;
  int nid;
  const EVP_MD* (*hash)();
};

// The hash follows the curve (OMS 1.0); no other pairing exists here.
constexpr std::array<CurveFacts, 3> kCurves = {{
    {Curve::p256, "prime256v1", NID_X9_62_prime256v1, EVP_sha256},
    {Curve::p384, "secp384r1", NID_secp384r1, EVP_sha384},
    {Curve::p521, "secp521r1", NID_secp521r1, EVP_sha512},
}};

const CurveFacts& facts_of(Curve curve) {
  const auto found = std::find_if(kCurves.begin(), kCurves.end(),
                                  [&](const CurveFacts& facts) { return facts.curve == curve; });
  check(found != kCurves.end(), "an unknown curve");
  return *found;
}

// The allowed curve of a key; throws invalid_argument for everything else.
Curve curve_of(EVP_PKEY* key, std::string_view subject) {
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) {
    const char* name = EVP_PKEY_get0_type_name(key);
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: expected an ECDSA key, got {}", quote(subject),
                            name != nullptr ? name : "another kind"),
                "organ key generate PREFIX makes one");
  }
  int explicit_parameters = 0;
  EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
                         &explicit_parameters);
  std::array<char, 64> name{};
  const bool named = EVP_PKEY_get_group_name(key, name.data(), name.size(), nullptr) == 1;
  const auto found = std::find_if(kCurves.begin(), kCurves.end(), [&](const CurveFacts& facts) {
    return named && facts.group == name.data();
  });
  ERR_clear_error();
  if (explicit_parameters != 0 || found == kCurves.end()) {
    fail(ErrorCode::invalid_argument, "{}: expected a key on P-256, P-384 or P-521, got {}",
         quote(subject),
         explicit_parameters != 0 ? "explicit curve parameters"
         : named                  ? name.data()
                                  : "an unnamed curve");
  }
  return found->curve;
}

std::size_t count(std::string_view text, std::string_view word) {
  std::size_t found = 0;
  for (std::size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) ++found;
  return found;
}

std::string trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == text.npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin));
}

std::string without_carriage_returns(std::string text) {
  std::erase(text, '\r');
  return text;
}

struct Passphrase {
  const PassphraseSource* ask;
  bool asked = false;
  bool given = false;
  std::exception_ptr failure;
};

// OpenSSL's callback; no exception may cross C, so it is kept and thrown again by the caller.
int give_passphrase(char* buffer, int size, int, void* user) noexcept {
  auto& state = *static_cast<Passphrase*>(user);
  state.asked = true;
  if (!*state.ask) return -1;  // as one that has none
  try {
    std::string text = (*state.ask)();
    state.given = !text.empty();
    const bool fits = !text.empty() && text.size() <= kPassphraseBytes &&
                      text.size() <= static_cast<std::size_t>(size);
    if (fits) text.copy(buffer, text.size());
    const int length = fits ? static_cast<int>(text.size()) : -1;
    OPENSSL_cleanse(text.data(), text.size());
    return length;
  } catch (...) {
    state.failure = std::current_exception();
    return -1;
  }
}

// Whoever calls names the key: a folder in its place is no damage.
UniqueFd open_key(const std::filesystem::path& path, Symlinks symlinks) {
  try {
    return open_regular(path, symlinks);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) {
      throw Error(error.code(), fmt::format("{}: no such key file", quote(path.string())),
                  "organ key generate PREFIX makes one");
    }
    if (error.code() != ErrorCode::corrupt) throw;
    throw Error(ErrorCode::invalid_argument, error.message(), "a key is a PEM file");
  }
}

std::string read_key(const UniqueFd& fd, std::string_view subject, std::string_view kind) {
  if (const std::uint64_t size = file_size(fd.get(), subject); size > kKeyFileBytes) {
    fail(ErrorCode::invalid_argument, "{}: a {} key has at most {} bytes, got {}", quote(subject),
         kind, kKeyFileBytes, size);
  }
  return read_fd(fd.get(), kKeyFileBytes, subject);
}

// Takes the file only when nobody else could have read or replaced it; first, it is a private key.
std::string read_private_file(const std::filesystem::path& path) {
  const std::string subject = path.string();
  const UniqueFd fd = open_key(path, Symlinks::refuse);
  std::string text = read_key(fd, subject, "private");
  if (text.starts_with("-----BEGIN PUBLIC KEY-----")) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: expected a private key, got a public key", quote(subject)),
                "use the .key file");
  }
  struct stat info = {};
  if (::fstat(fd.get(), &info) != 0) fail_errno(subject, "fstat");
  if (info.st_uid != ::geteuid()) {
    fail(ErrorCode::invalid_argument, "{}: private key belongs to user {}, expected {}",
         quote(subject), info.st_uid, ::geteuid());
  }
  if ((info.st_mode & 077) != 0) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: private key has mode {:04o}, expected 0600", quote(subject),
                            info.st_mode & 07777),
                "chmod 600 the key; if others could read it, make a new one");
  }
  const std::filesystem::path folder = folder_of(path);
  struct stat parent = {};
  if (::stat(folder.c_str(), &parent) != 0) fail_errno(folder.string(), "stat");
  if ((parent.st_mode & S_IWOTH) != 0 && (parent.st_mode & S_ISVTX) == 0) {
    fail(ErrorCode::invalid_argument, "{}: private key lies in a folder that everyone can write",
         quote(subject));
  }
  return text;
}

[[noreturn]] void fail_secret(const Passphrase& state, std::string_view subject) {
  const std::string reason = openssl_reason();
  if (state.failure) std::rethrow_exception(state.failure);
  if (state.asked) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("{}: private key is encrypted and {}", quote(subject),
                    state.given ? "this passphrase does not open it" : "no passphrase is given"),
        state.given ? "the key was made with another one (all of a first line counts, blanks too), "
                      "or the key file is damaged"
                    : "give it by --passphrase-file, --passphrase-fd or ORGAN_KEY_PASSPHRASE");
  }
  fail(ErrorCode::invalid_argument, "{}: expected a PEM private key: {}", quote(subject), reason);
}

}  // namespace

PublicKey PublicKey::parse(std::string_view pem, std::string_view subject) {
  if (pem.size() > kKeyFileBytes) {
    fail(ErrorCode::invalid_argument, "{}: a public key has at most {} bytes, got {}",
         quote(subject), kKeyFileBytes, pem.size());
  }
  if (pem.find("PRIVATE KEY-----") != pem.npos) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: expected a public key, got a private key", quote(subject)),
                "use the .pub file, and keep the private key to yourself");
  }
  if (count(pem, "-----BEGIN ") != 1 || count(pem, "-----BEGIN PUBLIC KEY-----") != 1) {
    fail(ErrorCode::invalid_argument, "{}: expected exactly one PEM public key", quote(subject));
  }
  const Bio bio = memory_bio(pem);
  PublicKey result;
  result.key_.reset(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  if (result.key_ == nullptr) {
    fail(ErrorCode::invalid_argument, "{}: malformed public key: {}", quote(subject),
         openssl_reason());
  }
  result.curve_ = curve_of(result.key_.get(), subject);
  if (!internal::is_uncompressed(result.key_.get())) {  // one key has one id, so one form
    throw Error(ErrorCode::invalid_argument,
                quote(subject) + ": expected an uncompressed point, got a compressed one",
                "openssl pkey -pubin -ec_conv_form uncompressed writes a key so");
  }
  result.pem_ = public_pem(result.key_.get());
  // What OpenSSL writes back must be what was there: no trailing DER bytes, no other encoding of
  // the point, nothing around the block.
  if (trimmed(without_carriage_returns(std::string(pem))) != trimmed(result.pem_)) {
    fail(ErrorCode::invalid_argument,
         "{}: not in the form that OpenSSL writes (other bytes in or around the key)",
         quote(subject));
  }
  return result;
}

PublicKey PublicKey::load(const std::filesystem::path& path) {
  return parse(read_key(open_key(path, Symlinks::follow), path.string(), "public"), path.string());
}

KeyId PublicKey::id() const { return sha256(pem_); }

SecretKey SecretKey::generate(Curve curve) {
  const CurveFacts& facts = facts_of(curve);
  SecretKey result;
  result.key_.reset(EVP_EC_gen(std::string(facts.group).c_str()), EVP_PKEY_free);
  require_openssl(result.key_ != nullptr, "EVP_EC_gen");
  return result;
}

SecretKey SecretKey::load(const std::filesystem::path& path, const std::string& passphrase) {
  return load_with(path, [&] { return passphrase; });
}

SecretKey SecretKey::load_with(const std::filesystem::path& path, const PassphraseSource& ask) {
  std::string text = read_private_file(path);
  const Bio bio = memory_bio(text);
  Passphrase state{.ask = &ask, .failure = nullptr};
  SecretKey result;
  result.key_.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, give_passphrase, &state),
                    EVP_PKEY_free);
  OPENSSL_cleanse(text.data(), text.size());
  if (result.key_ == nullptr) fail_secret(state, path.string());
  curve_of(result.key_.get(), path.string());
  const KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, result.key_.get(), nullptr));
  require_openssl(context != nullptr, "EVP_PKEY_CTX_new_from_pkey");
  if (EVP_PKEY_check(context.get()) != 1) {
    fail(ErrorCode::invalid_argument, "{}: the private key contradicts itself: {}",
         quote(path.string()), openssl_reason());
  }
  return result;
}

void SecretKey::save(const std::filesystem::path& path, const std::string& passphrase) const {
  if (passphrase.size() > kPassphraseBytes) {
    fail(ErrorCode::invalid_argument, "passphrase: at most {} bytes are allowed, got {}",
         kPassphraseBytes, passphrase.size());
  }
  const Pkcs8Info plain(EVP_PKEY2PKCS8(key_.get()));
  require_openssl(plain != nullptr, "EVP_PKEY2PKCS8");
  const Bio bio(BIO_new(BIO_s_secmem()));
  require_openssl(bio != nullptr, "BIO_new");
  if (passphrase.empty()) {
    require_openssl(PEM_write_bio_PKCS8_PRIV_KEY_INFO(bio.get(), plain.get()) == 1,
                    "writing the private key");
  } else {
    const EncryptedPkcs8 encrypted(PKCS8_encrypt(-1, EVP_aes_256_cbc(), passphrase.data(),
                                                 static_cast<int>(passphrase.size()), nullptr, 0,
                                                 kPbkdf2Rounds, plain.get()));
    require_openssl(encrypted != nullptr && PEM_write_bio_PKCS8(bio.get(), encrypted.get()) == 1,
                    "encrypting the private key");
  }
  std::string text = text_of(bio.get());
  const auto cleanse = [&] { OPENSSL_cleanse(text.data(), text.size()); };
  try {
    write_file(path, text, AtomicFile::Mode::create_new, 0600);
  } catch (...) {
    cleanse();
    throw;
  }
  cleanse();
}

PublicKey SecretKey::public_key() const {
  return PublicKey::parse(public_pem(key_.get()), "public key");
}

namespace internal {
namespace {

// X9.62: SEQUENCE { INTEGER r, INTEGER s } in DER and nothing after it, both in [1, n-1].
bool is_strict_signature(const PublicKey& key, std::string_view der) {
  const auto* begin = reinterpret_cast<const unsigned char*>(der.data());
  const unsigned char* end = begin;
  const EcdsaSignature parsed(d2i_ECDSA_SIG(nullptr, &end, static_cast<long>(der.size())));
  if (parsed == nullptr || end != begin + der.size()) return false;
  unsigned char* written = nullptr;
  const int size = i2d_ECDSA_SIG(parsed.get(), &written);
  const Bytes canonical(written);
  if (size < 0 || static_cast<std::size_t>(size) != der.size() ||
      std::memcmp(written, begin, der.size()) != 0) {
    return false;
  }
  const Group group(EC_GROUP_new_by_curve_name(facts_of(key.curve()).nid));
  require_openssl(group != nullptr, "EC_GROUP_new_by_curve_name");
  const BIGNUM* order = EC_GROUP_get0_order(group.get());
  const auto in_range = [&](const BIGNUM* number) {
    return !BN_is_zero(number) && !BN_is_negative(number) && BN_cmp(number, order) < 0;
  };
  return in_range(ECDSA_SIG_get0_r(parsed.get())) && in_range(ECDSA_SIG_get0_s(parsed.get()));
}

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

bool verify_with(const EVP_MD* hash, const PublicKey& key, std::string_view message,
                 std::string_view signature) {
  const bool strict = is_strict_signature(key, signature);
  ERR_clear_error();
  if (!strict) return false;
  const Context context(EVP_MD_CTX_new());
  require_openssl(context != nullptr, "EVP_MD_CTX_new");
  require_openssl(EVP_DigestVerifyInit(context.get(), nullptr, hash, nullptr, key.handle()) == 1,
                  "EVP_DigestVerifyInit");
  // 0 is a wrong signature, a negative value a malformed one: only 1 is success.
  const int verdict = EVP_DigestVerify(context.get(), bytes(signature), signature.size(),
                                       bytes(message), message.size());
  ERR_clear_error();
  return verdict == 1;
}

}  // namespace

std::string sign_message(const SecretKey& key, std::string_view message) {
  const EVP_MD* hash = facts_of(curve_of(key.handle(), "private key")).hash();
  const Context context(EVP_MD_CTX_new());
  require_openssl(context != nullptr, "EVP_MD_CTX_new");
  require_openssl(EVP_DigestSignInit(context.get(), nullptr, hash, nullptr, key.handle()) == 1,
                  "EVP_DigestSignInit");
  std::size_t size = 0;
  require_openssl(
      EVP_DigestSign(context.get(), nullptr, &size, bytes(message), message.size()) == 1,
      "EVP_DigestSign");
  std::string signature(size, '\0');
  require_openssl(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()),
                                 &size, bytes(message), message.size()) == 1,
                  "EVP_DigestSign");
  signature.resize(size);
  return signature;
}

bool verify_message(const PublicKey& key, std::string_view message, std::string_view signature) {
  return verify_with(facts_of(key.curve()).hash(), key, message, signature);
}

bool verify_legacy_message(const PublicKey& key, std::string_view message,
                           std::string_view signature) {
  return verify_with(EVP_sha256(), key, message, signature);
}

}  // namespace internal
}  // namespace organ::format
