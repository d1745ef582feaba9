// SPDX-License-Identifier: Apache-2.0
#include "registry/log/note.h"

#include <sys/stat.h>

#include <charconv>
#include <optional>
#include <vector>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/handle.h"

namespace organ::registry {
namespace {

using EvpMdCtx = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using EvpPkey = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using BioHandle = std::unique_ptr<BIO, Deleter<BIO_free_all>>;

constexpr std::uint8_t kEd25519 = 0x01;              // signature type byte of C2SP signed notes
constexpr std::string_view kDash = "\xE2\x80\x94 ";  // em dash, space
constexpr std::size_t kSignatureSize = 64;
constexpr std::size_t kMaxSignatures = 16;
constexpr std::uint64_t kKeyFileLimit = 16 << 10;

[[noreturn]] void fail_openssl(std::string_view what) {
  ERR_clear_error();
  fail(ErrorCode::internal, "OpenSSL: {} failed", what);
}

std::string base64(std::span<const std::uint8_t> bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(),
                                     static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

// Strict: whatever does not encode back to the same text is refused.
std::optional<std::vector<std::uint8_t>> from_base64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0 || text.size() > 4096) return std::nullopt;
  std::vector<std::uint8_t> bytes(text.size() / 4 * 3);
  const int length =
      EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char*>(text.data()),
                      static_cast<int>(text.size()));
  if (length < 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  bytes.resize(static_cast<std::size_t>(length) - padding);
  if (base64(bytes) != text) return std::nullopt;
  return bytes;
}

std::array<std::uint8_t, 4> key_id(std::string_view name,
                                   const std::array<std::uint8_t, 32>& public_key) {
  Sha256Hasher hasher;
  hasher.update(name);
  hasher.update(std::string_view("\n\x01", 2));
  hasher.update(std::as_bytes(std::span(public_key)));
  const Digest digest = hasher.finish();
  return {digest.bytes()[0], digest.bytes()[1], digest.bytes()[2], digest.bytes()[3]};
}

std::string hex_of(const std::array<std::uint8_t, 4>& id) {
  return fmt::format("{:02x}{:02x}{:02x}{:02x}", id[0], id[1], id[2], id[3]);
}

bool is_note_name(std::string_view name) {
  if (name.empty() || name.size() > 255) return false;
  for (const char c : name) {
    if (c <= ' ' || c > '~' || c == '+') return false;
  }
  return true;
}

std::string origin_line(const std::string& name, NoteKind kind) {
  return kind == NoteKind::pending ? name + "/pending" : name;
}

std::string checkpoint_text(const Checkpoint& checkpoint, NoteKind kind) {
  return fmt::format("{}\n{}\n{}\n", origin_line(checkpoint.origin, kind), checkpoint.size,
                     base64(checkpoint.root.bytes()));
}

Checkpoint parse_checkpoint(std::string_view text, std::string_view subject) {
  Checkpoint checkpoint;
  const std::size_t first = text.find('\n');
  const std::size_t second = first == text.npos ? text.npos : text.find('\n', first + 1);
  const std::size_t third = second == text.npos ? text.npos : text.find('\n', second + 1);
  if (third == text.npos || third + 1 != text.size()) {
    fail(ErrorCode::corrupt, "{}: expected the three lines origin, size and root hash", subject);
  }
  checkpoint.origin = text.substr(0, first);
  const std::string_view size = text.substr(first + 1, second - first - 1);
  const auto [end, error] =
      std::from_chars(size.data(), size.data() + size.size(), checkpoint.size);
  const auto root = from_base64(text.substr(second + 1, third - second - 1));
  if (error != std::errc() || end != size.data() + size.size() ||
      std::to_string(checkpoint.size) != size) {
    fail(ErrorCode::corrupt, "{}: tree size {} is not a decimal number", subject, quote(size));
  }
  if (!root || root->size() != Digest::kSize) {
    fail(ErrorCode::corrupt, "{}: root hash is not the base64 text of 32 bytes", subject);
  }
  std::array<std::uint8_t, Digest::kSize> bytes{};
  std::copy(root->begin(), root->end(), bytes.begin());
  checkpoint.root = Digest(bytes);
  return checkpoint;
}

bool verify_ed25519(const std::array<std::uint8_t, 32>& key, std::string_view text,
                    std::span<const std::uint8_t> signature) {
  const EvpPkey handle(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size()));
  const EvpMdCtx context(EVP_MD_CTX_new());
  if (!handle || !context) fail_openssl("loading an Ed25519 key");
  if (EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, handle.get()) != 1) {
    fail_openssl("EVP_DigestVerifyInit");
  }
  // Only 1 is success: malformed signatures give 0 or a negative value.
  const int result =
      EVP_DigestVerify(context.get(), signature.data(), signature.size(),
                       reinterpret_cast<const unsigned char*>(text.data()), text.size());
  ERR_clear_error();
  return result == 1;
}

}  // namespace

NoteVerifier NoteVerifier::parse(std::string_view text, std::string_view subject) {
  NoteVerifier verifier;
  verifier.text_ = text;
  const std::size_t first = text.find('+');
  const std::size_t second = first == text.npos ? text.npos : text.find('+', first + 1);
  std::optional<std::vector<std::uint8_t>> key;
  if (second != text.npos) key = from_base64(text.substr(second + 1));
  if (!key || key->size() != 33 || key->front() != kEd25519 ||
      !is_note_name(text.substr(0, first))) {
    fail(ErrorCode::corrupt, "{}: not an Ed25519 verifier key: {}", subject, quote(text));
  }
  verifier.name_ = text.substr(0, first);
  std::copy(key->begin() + 1, key->end(), verifier.public_key_.begin());
  verifier.id_ = key_id(verifier.name_, verifier.public_key_);
  if (text.substr(first + 1, second - first - 1) != hex_of(verifier.id_)) {
    fail(ErrorCode::corrupt, "{}: key id {} does not follow from the key, expected {}", subject,
         quote(text.substr(first + 1, second - first - 1)), hex_of(verifier.id_));
  }
  return verifier;
}

Checkpoint NoteVerifier::open(std::string_view note, std::string_view subject,
                              NoteKind kind) const {
  const std::size_t split = note.rfind("\n\n");
  if (split == note.npos || !note.ends_with('\n')) {
    fail(ErrorCode::corrupt, "{}: not a signed note: no empty line before signatures", subject);
  }
  const std::string_view text = note.substr(0, split + 1);
  std::string_view lines = note.substr(split + 2);
  bool good = false;
  for (std::size_t count = 0; !lines.empty(); ++count) {
    const std::size_t end = lines.find('\n');
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(end + 1);
    const std::size_t space = line.find(' ', kDash.size());
    if (!line.starts_with(kDash) || space == line.npos || count >= kMaxSignatures) {
      fail(ErrorCode::corrupt, "{}: malformed signature line {}", subject, count + 1);
    }
    const auto value = from_base64(line.substr(space + 1));
    if (!value || value->size() < 5) {
      fail(ErrorCode::corrupt, "{}: signature line {} is not base64", subject, count + 1);
    }
    const bool ours = line.substr(kDash.size(), space - kDash.size()) == name_ &&
                      std::equal(id_.begin(), id_.end(), value->begin());
    if (!ours) continue;
    if (value->size() != 4 + kSignatureSize ||
        !verify_ed25519(public_key_, text, std::span(*value).subspan(4))) {
      fail(ErrorCode::untrusted, "{}: bad signature of the registry's key {}", subject, name_);
    }
    good = true;
  }
  if (!good)
    fail(ErrorCode::untrusted, "{}: no signature of the registry's key {}", subject, name_);
  Checkpoint checkpoint = parse_checkpoint(text, subject);
  if (const std::string expected = origin_line(name_, kind); checkpoint.origin != expected) {
    fail(ErrorCode::untrusted, "{}: origin is {}, expected {}", subject, quote(checkpoint.origin),
         quote(expected));
  }
  checkpoint.origin = name_;
  return checkpoint;
}

NoteSigner::NoteSigner(EVP_PKEY* key) : key_(key, Deleter<EVP_PKEY_free>()) {}

NoteSigner NoteSigner::generate() {
  EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  if (key == nullptr) fail_openssl("generating an Ed25519 key");
  return NoteSigner(key);
}

NoteSigner NoteSigner::load(const std::filesystem::path& path) {
  const UniqueFd fd = open_regular(path, Symlinks::refuse);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) fail_errno(path.string(), "stat");
  if ((status.st_mode & 077) != 0) {
    throw Error(ErrorCode::untrusted,
                fmt::format("{}: group or others may read the key (mode {:04o}, expected 0600)",
                            quote(path.string()), status.st_mode & 07777u),
                "chmod 600 and consider the key known to others");
  }
  std::string pem = read_fd(fd.get(), kKeyFileLimit, path.string());
  const BioHandle bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  // A password callback that gives nothing: OpenSSL must never ask on the terminal.
  const auto refuse = [](char*, int, int, void*) { return -1; };
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio.get(), nullptr, refuse, nullptr);
  OPENSSL_cleanse(pem.data(), pem.size());
  ERR_clear_error();
  NoteSigner signer(key);
  if (key == nullptr || EVP_PKEY_get_id(key) != EVP_PKEY_ED25519) {
    fail(ErrorCode::corrupt, "{}: not an Ed25519 private key in PEM", quote(path.string()));
  }
  return signer;
}

void NoteSigner::save(const std::filesystem::path& path) const {
  const BioHandle bio(BIO_new(BIO_s_secmem()));
  if (!bio || PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr,
                                            nullptr) != 1) {
    fail_openssl("writing the log key");
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  write_file(path, {data, static_cast<std::size_t>(size)}, AtomicFile::Mode::create_new, 0600);
}

std::array<std::uint8_t, 32> NoteSigner::public_key() const {
  std::array<std::uint8_t, 32> bytes{};
  std::size_t size = bytes.size();
  if (EVP_PKEY_get_raw_public_key(key_.get(), bytes.data(), &size) != 1 || size != bytes.size()) {
    fail_openssl("reading a public key");
  }
  return bytes;
}

std::string NoteSigner::verifier_key(std::string_view prefix) const {
  const auto key = public_key();
  const std::string name =
      std::string(prefix) + sha256(std::as_bytes(std::span(key))).hex().substr(0, 16);
  std::array<std::uint8_t, 33> typed{kEd25519};
  std::copy(key.begin(), key.end(), typed.begin() + 1);
  return name + "+" + hex_of(key_id(name, key)) + "+" + base64(typed);
}

std::string NoteSigner::sign(const Checkpoint& checkpoint, NoteKind kind) const {
  const std::string text = checkpoint_text(checkpoint, kind);
  const EvpMdCtx context(EVP_MD_CTX_new());
  std::array<std::uint8_t, 4 + kSignatureSize> value{};
  const auto id = key_id(checkpoint.origin, public_key());
  std::copy(id.begin(), id.end(), value.begin());
  std::size_t size = kSignatureSize;
  if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), value.data() + 4, &size,
                     reinterpret_cast<const unsigned char*>(text.data()), text.size()) != 1) {
    fail_openssl("signing a checkpoint");
  }
  return fmt::format("{}\n{}{} {}\n", text, kDash, checkpoint.origin, base64(value));
}

}  // namespace organ::registry
