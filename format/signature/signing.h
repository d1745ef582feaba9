// SPDX-License-Identifier: Apache-2.0
// OpenSSF Model Signing v1.0 (ossf/model-signing-spec): keys, model.sig bundles, strict checks:
// what a bundle signs is compared name by name and digest by digest, and nothing in it chooses its
// key: keys, or roots of certificates, are given. ECDSA P-256/384/521 with the hash of the curve;
// nothing else.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"
#include "format/organ/finite_check.h"
#include "format/signature/certificates.h"

struct evp_pkey_st;

#pragma GCC visibility push(default)

namespace organ::format {

enum class Curve { p256, p384, p521 };

// The identity of a public key: SHA-256 of its PEM text as OpenSSL writes it; this is the `hint`
// of OMS bundles.
using KeyId = Digest;

// A verification key. Immutable, shared handle: copies are cheap and thread-safe.
class PublicKey {
 public:
  // Exactly one PEM SubjectPublicKeyInfo of an allowed named curve; 64 KiB at most. Throws
  // invalid_argument (private key inside, two keys, certificate, other algorithm, explicit
  // parameters, a compressed point, any text or bytes around or behind what OpenSSL writes).
  static PublicKey parse(std::string_view pem, std::string_view subject);
  // The same of a file; throws also not_found, io. Links are followed.
  static PublicKey load(const std::filesystem::path& path);

  const std::string& pem() const { return pem_; }  // normalised
  KeyId id() const;
  Curve curve() const { return curve_; }
  evp_pkey_st* handle() const { return key_.get(); }

 private:
  std::shared_ptr<evp_pkey_st> key_;  // shared: OpenSSL handles are immutable after loading
  std::string pem_;
  Curve curve_ = Curve::p256;
};

// Gives the passphrase of an encrypted key; called only when one is needed. May throw.
// Without a function there is none.
using PassphraseSource = std::function<std::string()>;

// A signing key. Never copied, never printed.
class SecretKey {
 public:
  static SecretKey generate(Curve curve);
  // PEM, SEC1 or PKCS#8, encrypted or not. Refuses a file that group or others can read, that is a
  // symlink, that another user owns or that lies in a folder everyone can write. Throws not_found,
  // invalid_argument. Never a terminal prompt of OpenSSL's own.
  static SecretKey load(const std::filesystem::path& path, const std::string& passphrase = {});
  // The same, asking only when the key is encrypted; what `ask` throws comes out as it is. 1 to
  // 1024 bytes of it are tried.
  static SecretKey load_with(const std::filesystem::path& path, const PassphraseSource& ask);
  SecretKey(SecretKey&&) noexcept = default;

  // PKCS#8, encrypted (AES-256-CBC, PBKDF2) when the passphrase is not empty; created 0600 with
  // O_EXCL. Throws already_exists.
  void save(const std::filesystem::path& path, const std::string& passphrase) const;
  PublicKey public_key() const;
  evp_pkey_st* handle() const { return key_.get(); }

 private:
  SecretKey() = default;
  std::shared_ptr<evp_pkey_st> key_;  // shared_ptr only for its type-erased deleter
};

// One resource of an OMS statement: a file by its name in the folder, and its flat SHA-256.
struct SignedResource {
  std::string name;
  Digest digest;
};

// The verified content of one bundle, or of read_bundle() what it claims.
struct SignedStatement {
  std::string subject_name;  // for people: as a rule the folder's name when it was signed
  Digest root;               // of all resources together, which parsing has proved
  std::vector<SignedResource> resources;
  std::vector<std::string> ignore_paths;
  KeyId key;
  std::optional<CertificateSigner> certificate = {};  // what names the key, where one does
  bool legacy = false;                                // in the form of model_signing 0.2
  std::vector<std::string> notes = {};                // why time stamps of it prove nothing
};

// Whose signatures count.
struct SignerTrust {
  std::vector<PublicKey> keys;
  std::optional<CertificateTrust> certificates = {};  // without it no certificate counts
  bool legacy = false;  // bundles of model_signing 0.2 count too, by key or certificate
};

// Signs a list of resources (spec order) as an OMS v1.0 bundle: method files, sha256, symlinks
// not allowed. With certificates (the signer's, then its issuers') the bundle names the key by
// them; throws invalid_argument when the first is of another key, has ended or may not sign.
std::string sign_resources(std::string_view subject_name, std::vector<SignedResource> resources,
                           const SecretKey& key, const CertificateSet& chain = {});

// Checks contents (flat digests too), then writes FOLDER/model.sig over organ.json and every file
// it lists, atomically. Refuses a folder with files that no manifest entry explains, and numbers
// that are not finite where `finite` requires that. Throws already_exists, invalid_argument,
// corrupt, io, cancelled.
void sign_folder(const OrganFolder& organ, const SecretKey& key, bool replace = false,
                 const Work& work = {}, FiniteCheck* finite = nullptr,
                 const CertificateSet& chain = {});

// Verifies envelope and signature of a bundle with one of `keys`; throws untrusted (no key of ours,
// bad signature, key hint of another key) or corrupt (malformed, wrong media, statement or
// predicate type, root that does not follow from the resources, duplicate or unsafe names,
// BLAKE3, …). Reads old bundles with rawBytes/keyDetails. Does not look at files.
SignedStatement verify_bundle(std::string_view bundle, const std::vector<PublicKey>& keys,
                              std::string_view subject);

// The same for bundles of either method. One made with a key needs that key, one made with a
// certificate a chain to one of the roots, whatever keys were given.
SignedStatement judge_bundle(std::string_view bundle, const SignerTrust& trust,
                             std::string_view subject);

// What a bundle claims, its signature not checked: only for showing it, and for finding
// contradictions. Throws corrupt as verify_bundle does. `key` is the one that the bundle names.
SignedStatement read_bundle(std::string_view bundle, std::string_view subject);

// Does the statement cover exactly this organ? Empty = yes. Names every difference: a file not
// covered, a digest that disagrees with the manifest or with organ.json's bytes, a resource that
// does not exist, an ignore list that covers a listed file, an unsigned extra file.
std::vector<Finding> compare_statement(const SignedStatement& statement, const OrganSource& organ);

// For folders that are not organs (a recipient, a foreign model): every file that a signature of
// the folder covers, by flat digests. Throws invalid_argument for a symlink, FIFO or device, and
// for a folder without files.
std::vector<SignedResource> resources_of_model(const std::filesystem::path& folder,
                                               const Work& work = {});

// The whole OMS verification of such a folder as model_signing does it: every file below it but
// those that git keeps, model.sig and ignore_paths, by flat digests. Empty: it is what was signed.
std::vector<Finding> verify_model_folder(const std::filesystem::path& folder,
                                         const SignedStatement& statement, const Work& work = {});

}  // namespace organ::format

#pragma GCC visibility pop
