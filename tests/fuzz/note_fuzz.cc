// SPDX-License-Identifier: Apache-2.0
// Input: a checkpoint (signed note), a verifier key, or the text of a checkpoint, which is then
// signed by a key of this process. A fixed key signed exactly one note.
#include <array>
#include <memory>
#include <string>

#include <openssl/evp.h>

#include "format/base/base64.h"
#include "format/base/digest.h"
#include "format/base/handle.h"
#include "registry/notes/note.h"
#include "tests/fuzz/target.h"

namespace organ::registry {
namespace {

using fuzz::demand;

constexpr std::string_view kDash = "\xE2\x80\x94 ";

// Of the registry whose checkpoint is seeds/note/checkpoint.
constexpr std::string_view kFixedKey =
    "organ-registry/ed592813870c061e+f220c074+AbxIaLy9EXrswy0y7yWxsZFIrBVRHkRZ+FpbsMX1Dl1+";
constexpr std::string_view kFixedText =
    "organ-registry/ed592813870c061e\n3\nKF4Be2bkFJs+QFXXJa+HNFk5DqiIn5TQNLCdyuxU7v4=\n";

const NoteVerifier& fixed_verifier() {
  static const NoteVerifier verifier = NoteVerifier::parse(kFixedKey, "key");
  return verifier;
}

// An Ed25519 key that is the same in every run, as a signer of any bytes.
struct Signer {
  Signer() {
    const std::array<unsigned char, 32> secret{1, 2, 3};
    key.reset(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, secret.data(), 32));
    std::array<unsigned char, 33> typed{0x01};
    std::size_t size = 32;
    demand(key && EVP_PKEY_get_raw_public_key(key.get(), typed.data() + 1, &size) == 1, "OpenSSL");
    const std::string bytes(typed.begin(), typed.end());
    id = sha256(name + "\n" + bytes).bytes();
    verifier = name + "+" + Digest(id).hex().substr(0, 8) + "+" + base64_encode(bytes);
  }

  std::string sign(std::string_view text) const {
    const std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
    std::string value(id.begin(), id.begin() + 4);
    value.resize(4 + 64);
    std::size_t size = 64;
    demand(
        EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
            EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(value.data()) + 4, &size,
                           reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1,
        "OpenSSL signs");
    return std::string(text) + "\n" + std::string(kDash) + name + " " + base64_encode(value) + "\n";
  }

  std::string name = "organ-registry/0123456789abcdef";
  std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>> key;
  std::array<std::uint8_t, 32> id{};
  std::string verifier;
};

std::string text_of(const Checkpoint& checkpoint) {
  const auto& root = checkpoint.root.bytes();
  return checkpoint.origin + "\n" + std::to_string(checkpoint.size) + "\n" +
         base64_encode(std::string(root.begin(), root.end())) + "\n";
}

void read_note(std::string_view note) {
  fuzz::expect({ErrorCode::corrupt, ErrorCode::untrusted}, [&] {
    const Checkpoint checkpoint = fixed_verifier().open(note, "checkpoint");
    demand(text_of(checkpoint) == kFixedText, "only what was signed verifies");
    demand(note.starts_with(kFixedText), "the signed text comes first");
  });
}

void read_key(std::string_view text) {
  fuzz::expect({ErrorCode::corrupt}, [&] {
    const NoteVerifier verifier = NoteVerifier::parse(text, "key");
    demand(verifier.to_string() == text, "a verifier key is written as it was read");
    demand(text.starts_with(verifier.name() + "+"), "it begins with its name");
  });
}

void read_signed(std::string_view text) {
  static const Signer signer;
  static const NoteVerifier verifier = NoteVerifier::parse(signer.verifier, "key");
  fuzz::expect({ErrorCode::corrupt, ErrorCode::untrusted}, [&] {
    const std::string note = signer.sign(text);
    const Checkpoint checkpoint = verifier.open(note, "checkpoint");
    demand(text_of(checkpoint) == text, "one text per checkpoint");
    demand(checkpoint.origin == signer.name, "the origin is the key's name");
    const std::string other = signer.sign(std::string(text) + "x\n");
    const std::string forged = std::string(text) + other.substr(other.rfind("\n\n") + 1);
    fuzz::expect({ErrorCode::corrupt, ErrorCode::untrusted}, [&] {
      verifier.open(forged, "forged");
      demand(false, "a signature of another text does not verify");
    });
  });
}

}  // namespace
}  // namespace organ::registry

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text = organ::fuzz::text_of(data, size);
  organ::registry::read_note(text);
  organ::registry::read_key(text);
  organ::registry::read_signed(text);
  return 0;
}
