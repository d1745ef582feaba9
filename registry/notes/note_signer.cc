// SPDX-License-Identifier: Apache-2.0
#include "registry/notes/note_signer.h"

#include <sys/stat.h>
#include <unistd.h>

#include <exception>
#include <optional>
#include <span>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/file_system.h"
#include "format/base/path_status.h"
#include "registry/notes/internal/ed25519.h"

namespace organ::registry {
namespace {

using BioHandle = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using PlainKey = std::unique_ptr<PKCS8_PRIV_KEY_INFO, Deleter<PKCS8_PRIV_KEY_INFO_free>>;
using EncryptedKey = std::unique_ptr<X509_SIG, Deleter<X509_SIG_free>>;

constexpr std::uint64_t kKeyFileLimit = 16 << 10;
constexpr std::size_t kPassphraseLimit = 1024;
constexpr int kPbkdf2Rounds = 600'000;  // OWASP's figure for PBKDF2 with SHA-256

struct Question {
  const NoteSigner::AskPassphrase* ask;
  bool asked = false;
  bool answered = false;
  std::exception_ptr failure;
};

// OpenSSL's callback: nothing may be thrown through C, and without `ask` it gives nothing.
int answer(char* buffer, int size, int /*writing*/, void* user) noexcept {
  auto& question = *static_cast<Question*>(user);
  question.asked = true;
  if (!*question.ask) return -1;
  try {
    std::string text = (*question.ask)();
    question.answered = !text.empty();
    const bool fits =
        text.size() <= kPassphraseLimit && text.size() <= static_cast<std::size_t>(size);
    if (fits) text.copy(buffer, text.size());
    const int length = fits ? static_cast<int>(text.size()) : -1;
    OPENSSL_cleanse(text.data(), text.size());
    return length;
  } catch (...) {
    question.failure = std::current_exception();
    return -1;
  }
}

// What its group may do with a key in this folder.
unsigned group_rights(const std::filesystem::path& folder, gid_t group) {
  struct stat status {};
  const bool shared = is_shared_folder(folder) && ::stat(folder.c_str(), &status) == 0;
  return shared && status.st_gid == group ? 040 : 0;
}

// Wipes a secret when it is no longer needed, however that comes.
class Erased {
 public:
  explicit Erased(std::string& secret) : secret_(secret) {}
  ~Erased() { OPENSSL_cleanse(secret_.data(), secret_.size()); }
  Erased(const Erased&) = delete;
  Erased& operator=(const Erased&) = delete;

 private:
  std::string& secret_;
};

// The registry's own key, which a group may read, is damaged where a user's is the wrong file.
ErrorCode not_the_key(NoteSigner::Readers readers) {
  return readers == NoteSigner::Readers::group ? ErrorCode::corrupt : ErrorCode::invalid_argument;
}

// First: of a public key it does not matter who may read it.
void require_secret(std::string_view text, const std::filesystem::path& path,
                    NoteSigner::Readers readers) {
  if (text.find("PRIVATE KEY-----") != text.npos) return;
  throw Error(
      not_the_key(readers),
      fmt::format("{}: expected a private key in PEM, got {}", quote(path.string()),
                  text.find("PUBLIC KEY-----") != text.npos ? "a public key" : "something else"),
      "use the .key file that organ key generate wrote");
}

void require_private(int fd, const std::filesystem::path& path, NoteSigner::Readers readers) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) fail_errno(path.string(), "stat");
  const bool shared = readers == NoteSigner::Readers::group;  // the registry's own
  const unsigned allowed = shared ? group_rights(folder_of(path), status.st_gid) : 0;
  if ((status.st_mode & 077 & ~allowed) == 0) return;
  throw Error(
      shared ? ErrorCode::untrusted : ErrorCode::invalid_argument,
      fmt::format("{}: private key has mode {:04o}, expected {:04o}", quote(path.string()),
                  status.st_mode & 07777u, 0600 | allowed),
      fmt::format("chmod {:o} the key; if others could read it, {}", 0600 | allowed,
                  shared ? "organ log root --rotate hands over to a new one" : "make a new one"));
}

[[noreturn]] void fail_passphrase(const std::filesystem::path& path, bool is_given) {
  throw Error(ErrorCode::invalid_argument,
              fmt::format("{}: the key is encrypted and {}", quote(path.string()),
                          is_given ? "this passphrase does not open it" : "no passphrase is given"),
              is_given ? "the key was made with another one (all of a first line counts, blanks "
                         "too), or the key file is damaged"
                       : "give it by --passphrase-file, --passphrase-fd or ORGAN_KEY_PASSPHRASE");
}

// The PEM text, in memory that is not swapped.
BioHandle pem_of(EVP_PKEY* key, const std::string& passphrase) {
  BioHandle bio(BIO_new(BIO_s_secmem()));
  const PlainKey plain(EVP_PKEY2PKCS8(key));
  if (!bio || !plain) notes::fail_openssl("writing a private key");
  if (passphrase.empty()) {
    if (PEM_write_bio_PKCS8_PRIV_KEY_INFO(bio.get(), plain.get()) != 1) {
      notes::fail_openssl("writing a private key");
    }
  } else {
    const EncryptedKey encrypted(PKCS8_encrypt(-1, EVP_aes_256_cbc(), passphrase.data(),
                                               static_cast<int>(passphrase.size()), nullptr, 0,
                                               kPbkdf2Rounds, plain.get()));
    if (!encrypted || PEM_write_bio_PKCS8(bio.get(), encrypted.get()) != 1) {
      notes::fail_openssl("encrypting a private key");
    }
  }
  return bio;
}

std::string_view text_of(const BioHandle& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

}  // namespace

NoteSigner::NoteSigner(EVP_PKEY* key) : key_(key, Deleter<EVP_PKEY_free>()) {}

NoteSigner NoteSigner::generate() {
  EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  if (key == nullptr) notes::fail_openssl("generating an Ed25519 key");
  return NoteSigner(key);
}

NoteSigner NoteSigner::load(const std::filesystem::path& path, const AskPassphrase& ask,
                            Readers readers) {
  const UniqueFd fd = open_regular(path, Symlinks::refuse);
  std::string pem = read_fd(fd.get(), kKeyFileLimit, path.string());
  const Erased erased(pem);
  require_secret(pem, path, readers);
  require_private(fd.get(), path, readers);
  const BioHandle bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Question question{.ask = &ask, .failure = {}};
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio.get(), nullptr, answer, &question);
  ERR_clear_error();
  NoteSigner signer(key);
  if (question.failure) std::rethrow_exception(question.failure);
  if (key == nullptr && question.asked) fail_passphrase(path, question.answered);
  if (key == nullptr || EVP_PKEY_get_id(key) != EVP_PKEY_ED25519) {
    throw Error(not_the_key(readers), quote(path.string()) + ": not an Ed25519 private key in PEM",
                "organ key generate --for root or --for witness makes one");
  }
  return signer;
}

void NoteSigner::save(const std::filesystem::path& path, const std::string& passphrase,
                      Readers readers) const {
  if (passphrase.size() > kPassphraseLimit) {
    fail(ErrorCode::invalid_argument, "passphrase: at most {} bytes are allowed, got {}",
         kPassphraseLimit, passphrase.size());
  }
  const BioHandle bio = pem_of(key_.get(), passphrase);
  const bool is_shared = readers == Readers::group && is_shared_folder(folder_of(path));
  write_file(path, text_of(bio), AtomicFile::Mode::create_new, is_shared ? 0640 : 0600,
             Rights::folder);
}

// Nobody else's until it has the other one's rights, then under its name.
void NoteSigner::save_like(const std::filesystem::path& path,
                           const std::filesystem::path& other) const {
  struct stat status {};
  if (::stat(other.c_str(), &status) != 0) fail_errno(other.string(), "stat");
  const std::filesystem::path made =
      folder_of(path) / ("." + path.filename().string() + ".made.tmp");
  const BioHandle pem = pem_of(key_.get(), {});
  write_file(made, text_of(pem), AtomicFile::Mode::replace, 0600);
  const UniqueFd fd = open_regular(made, Symlinks::refuse);
  // Only the superuser makes it another's; a group that may read it reads the new one too.
  const uid_t owner = ::geteuid() == 0 ? status.st_uid : ::geteuid();
  struct stat now {};
  if (::fstat(fd.get(), &now) != 0) fail_errno(made.string(), "stat");
  const bool differs = now.st_uid != owner || now.st_gid != status.st_gid;
  if (differs && ::fchown(fd.get(), owner, status.st_gid) != 0) {
    fail_errno(made.string(), "set the group");
  }
  set_exact_permissions(fd.get(), status.st_mode & 0777, made.string());
  sync_fd(fd.get(), made.string());
  rename_path(made, path);
  sync_folder(folder_of(path));
}

std::array<std::uint8_t, 32> NoteSigner::public_key() const {
  std::array<std::uint8_t, 32> bytes{};
  std::size_t size = bytes.size();
  if (EVP_PKEY_get_raw_public_key(key_.get(), bytes.data(), &size) != 1 || size != bytes.size()) {
    notes::fail_openssl("reading a public key");
  }
  return bytes;
}

std::string NoteSigner::name_below(std::string_view prefix) const {
  const auto key = public_key();
  return std::string(prefix) + sha256(notes::view(key)).hex().substr(0, 16);
}

std::string NoteSigner::verifier_key(std::string_view name, NoteKeyType type) const {
  return notes::key_text(name, type, public_key());
}

std::string NoteSigner::sign_bytes(std::string_view bytes) const {
  const notes::EvpMdCtx context(EVP_MD_CTX_new());
  std::string value(notes::kSignatureSize, '\0');
  std::size_t size = value.size();
  if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(value.data()), &size,
                     reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()) != 1) {
    notes::fail_openssl("signing a note");
  }
  return value;
}

NoteSignature NoteSigner::sign(std::string_view name, std::string_view text) const {
  return {std::string(name), notes::key_id(name, NoteKeyType::ed25519, public_key()),
          sign_bytes(text)};
}

NoteSignature NoteSigner::cosign(std::string_view name, std::string_view text,
                                 std::uint64_t time) const {
  std::string value;
  for (int shift = 56; shift >= 0; shift -= 8) value += static_cast<char>(time >> shift & 255);
  return {std::string(name), notes::key_id(name, NoteKeyType::cosigner, public_key()),
          value + sign_bytes(notes::cosigned_text(time, text))};
}

std::string sign_checkpoint(const std::vector<NoteSigner>& by, const Checkpoint& checkpoint,
                            NoteKind kind, std::optional<std::uint64_t> time) {
  SignedNote note{.text = checkpoint_text(checkpoint, kind), .signatures = {}};
  for (const NoteSigner& signer : by) {
    note.signatures.push_back(signer.sign(checkpoint.origin, note.text));
    if (time) note.signatures.push_back(signer.cosign(checkpoint.origin, note.text, *time));
  }
  return note.to_string();
}

}  // namespace organ::registry
