// SPDX-License-Identifier: Apache-2.0
#include "registry/notes/note.h"

#include <algorithm>
#include <charconv>
#include <span>

#include <openssl/err.h>

#include "format/base/base64.h"
#include "format/base/fail.h"
#include "registry/notes/internal/ed25519.h"

namespace organ::registry {

namespace notes {

void fail_openssl(std::string_view what) {
  ERR_clear_error();
  fail(ErrorCode::internal, "OpenSSL: {} failed", what);
}

std::string_view view(const RawKey& key) {
  return {reinterpret_cast<const char*>(key.data()), key.size()};
}

std::array<std::uint8_t, 4> key_id(std::string_view name, NoteKeyType type, const RawKey& key) {
  Sha256Hasher hasher;
  hasher.update(name);
  const char typed[] = {'\n', static_cast<char>(type)};
  hasher.update(std::string_view(typed, sizeof typed));
  hasher.update(view(key));
  const Digest digest = hasher.finish();
  return {digest.bytes()[0], digest.bytes()[1], digest.bytes()[2], digest.bytes()[3]};
}

std::string key_text(std::string_view name, NoteKeyType type, const RawKey& key) {
  const auto id = key_id(name, type, key);
  const std::string typed = static_cast<char>(type) + std::string(view(key));
  return fmt::format("{}+{:02x}{:02x}{:02x}{:02x}+{}", name, id[0], id[1], id[2], id[3],
                     base64_encode(typed));
}

std::string cosigned_text(std::uint64_t time, std::string_view text) {
  return fmt::format("cosignature/v1\ntime {}\n{}", time, text);
}

}  // namespace notes

namespace {

using notes::kSignatureSize;
using notes::kTimeSize;
using notes::RawKey;

constexpr std::string_view kDash = "\xE2\x80\x94 ";  // em dash, space
constexpr std::size_t kMostBase64 = 4096;            // characters of one line
constexpr std::uint64_t kLatestTime = INT64_MAX;

std::optional<std::string> from_base64(std::string_view text) {
  if (text.empty() || text.size() > kMostBase64) return std::nullopt;
  return base64_decode(text);
}

bool is_note_name(std::string_view name) {
  if (name.empty() || name.size() > 255) return false;
  return std::ranges::all_of(name, [](char c) { return c > ' ' && c <= '~' && c != '+'; });
}

std::string origin_line(const std::string& name, NoteKind kind) {
  return kind == NoteKind::pending ? name + "/pending" : name;
}

bool verify_ed25519(const RawKey& key, std::string_view text, std::string_view signature) {
  const notes::EvpPkey handle(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size()));
  const notes::EvpMdCtx context(EVP_MD_CTX_new());
  if (!handle || !context) notes::fail_openssl("loading an Ed25519 key");
  if (EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, handle.get()) != 1) {
    notes::fail_openssl("EVP_DigestVerifyInit");
  }
  // Only 1 is success: malformed signatures give 0 or a negative value.
  const int result = EVP_DigestVerify(
      context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
      reinterpret_cast<const unsigned char*>(text.data()), text.size());
  ERR_clear_error();
  return result == 1;
}

NoteSignature parse_line(std::string_view line, std::size_t number, std::string_view subject) {
  const std::size_t space = line.find(' ', kDash.size());
  if (!line.starts_with(kDash) || space == line.npos || number > kMostNoteSignatures) {
    fail(ErrorCode::corrupt, "{}: malformed signature line {}", subject, number);
  }
  const auto value = from_base64(line.substr(space + 1));
  NoteSignature signature{.name = std::string(line.substr(kDash.size(), space - kDash.size())),
                          .value = {}};
  if (!value || value->size() <= signature.key_id.size()) {
    fail(ErrorCode::corrupt, "{}: signature line {} is not base64", subject, number);
  }
  std::copy_n(value->begin(), signature.key_id.size(), signature.key_id.begin());
  signature.value = value->substr(signature.key_id.size());
  return signature;
}

}  // namespace

std::string NoteSignature::to_line() const {
  return fmt::format("{}{} {}\n", kDash, name,
                     base64_encode(std::string(key_id.begin(), key_id.end()) + value));
}

std::string SignedNote::to_string() const {
  std::string note = text + "\n";
  for (const NoteSignature& signature : signatures) note += signature.to_line();
  return note;
}

void SignedNote::add(NoteSignature signature) {
  if (std::ranges::find(signatures, signature) == signatures.end()) {
    signatures.push_back(std::move(signature));
  }
}

SignedNote SignedNote::parse(std::string_view note, std::string_view subject) {
  const std::size_t split = note.rfind("\n\n");
  if (split == note.npos || !note.ends_with('\n')) {
    fail(ErrorCode::corrupt, "{}: not a signed note: no empty line before signatures", subject);
  }
  SignedNote parsed{.text = std::string(note.substr(0, split + 1)), .signatures = {}};
  std::string_view lines = note.substr(split + 2);
  while (!lines.empty()) {
    const std::size_t end = lines.find('\n');
    parsed.signatures.push_back(
        parse_line(lines.substr(0, end), parsed.signatures.size() + 1, subject));
    lines.remove_prefix(end + 1);
  }
  return parsed;
}

std::string checkpoint_text(const Checkpoint& checkpoint, NoteKind kind) {
  const auto& root = checkpoint.root.bytes();
  return fmt::format("{}\n{}\n{}\n", origin_line(checkpoint.origin, kind), checkpoint.size,
                     base64_encode(std::string(root.begin(), root.end())));
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

std::string_view key_part(std::string_view verifier_key) {
  // Base64 has a "+" too.
  const std::size_t name = verifier_key.find('+');
  const std::size_t id = name == verifier_key.npos ? name : verifier_key.find('+', name + 1);
  return id == verifier_key.npos ? verifier_key : verifier_key.substr(id + 1);
}

NoteVerifier NoteVerifier::parse(std::string_view text, std::string_view subject) {
  NoteVerifier verifier;
  const std::size_t first = text.find('+');
  const std::size_t second = first == text.npos ? text.npos : text.find('+', first + 1);
  std::optional<std::string> key;
  if (second != text.npos) key = from_base64(text.substr(second + 1));
  const bool known = key && key->size() == 33 &&
                     (key->front() == static_cast<char>(NoteKeyType::ed25519) ||
                      key->front() == static_cast<char>(NoteKeyType::cosigner));
  if (!known || !is_note_name(text.substr(0, first))) {
    fail(ErrorCode::corrupt, "{}: not an Ed25519 verifier key: {}", subject, quote(text));
  }
  verifier.name_ = text.substr(0, first);
  verifier.type_ = static_cast<NoteKeyType>(key->front());
  std::copy(key->begin() + 1, key->end(), verifier.public_key_.begin());
  verifier.id_ = notes::key_id(verifier.name_, verifier.type_, verifier.public_key_);
  verifier.text_ = notes::key_text(verifier.name_, verifier.type_, verifier.public_key_);
  if (verifier.text_ != text) {
    fail(ErrorCode::corrupt, "{}: key id {} does not follow from the key, expected {}", subject,
         quote(text.substr(first + 1, second - first - 1)), verifier.text_.substr(first + 1, 8));
  }
  return verifier;
}

NoteVerifier NoteVerifier::as(NoteKeyType type) const {
  NoteVerifier other = *this;
  other.type_ = type;
  other.id_ = notes::key_id(name_, type, public_key_);
  other.text_ = notes::key_text(name_, type, public_key_);
  return other;
}

// Nothing for a bad one.
std::optional<std::uint64_t> NoteVerifier::time_of(const NoteSignature& signature,
                                                   std::string_view text) const {
  const std::string_view value = signature.value;
  if (type_ == NoteKeyType::ed25519) {
    const bool good = value.size() == kSignatureSize && verify_ed25519(public_key_, text, value);
    return good ? std::optional<std::uint64_t>(0) : std::nullopt;
  }
  if (value.size() != kTimeSize + kSignatureSize) return std::nullopt;
  std::uint64_t time = 0;
  for (const char byte : value.substr(0, kTimeSize)) {
    time = time << 8 | static_cast<unsigned char>(byte);
  }
  const std::string cosigned = notes::cosigned_text(time, text);
  const bool good =
      time <= kLatestTime && verify_ed25519(public_key_, cosigned, value.substr(kTimeSize));
  return good ? std::optional(time) : std::nullopt;
}

std::optional<std::uint64_t> NoteVerifier::find(const SignedNote& note,
                                                std::string_view subject) const {
  std::optional<std::uint64_t> newest;
  for (const NoteSignature& signature : note.signatures) {
    if (!made(signature)) continue;
    const auto time = time_of(signature, note.text);
    if (!time) fail(ErrorCode::untrusted, "{}: bad signature of the key {}", subject, name_);
    newest = std::max(newest.value_or(0), *time);
  }
  return newest;
}

Checkpoint NoteVerifier::open(std::string_view note, std::string_view subject,
                              NoteKind kind) const {
  const SignedNote parsed = SignedNote::parse(note, subject);
  if (!find(parsed, subject)) {
    fail(ErrorCode::untrusted, "{}: no signature of the registry's key {}", subject, name_);
  }
  Checkpoint checkpoint = parse_checkpoint(parsed.text, subject);
  if (const std::string expected = origin_line(name_, kind); checkpoint.origin != expected) {
    fail(ErrorCode::untrusted, "{}: origin is {}, expected {}", subject, quote(checkpoint.origin),
         quote(expected));
  }
  checkpoint.origin = name_;
  return checkpoint;
}

}  // namespace organ::registry
