// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <sys/stat.h>

#include "format/base/file.h"
#include "format/signature/internal/oms.h"
#include "format/signature/signing.h"
#include "tests/support/support.h"

namespace organ::format {
namespace fs = std::filesystem;
using internal::sign_message;
using internal::verify_message;
using test::error_of;
using test::scratch;

namespace {

// SEQUENCE { INTEGER, INTEGER } of two byte strings, lengths below 128.
std::string der_pair(const std::string& r, const std::string& s) {
  const auto integer = [](const std::string& bytes) {
    return std::string("\x02") + static_cast<char>(bytes.size()) + bytes;
  };
  const std::string body = integer(r) + integer(s);
  return std::string("\x30") + static_cast<char>(body.size()) + body;
}

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

}  // namespace

TEST_CASE("only a strict signature of the right key over the right bytes verifies") {
  const SecretKey key = SecretKey::generate(Curve::p256);
  const PublicKey pub = key.public_key();
  const std::string signature = sign_message(key, "message");
  CHECK(verify_message(pub, "message", signature));
  CHECK_FALSE(verify_message(pub, "messagf", signature));
  CHECK_FALSE(verify_message(SecretKey::generate(Curve::p256).public_key(), "message", signature));
  CHECK_FALSE(verify_message(SecretKey::generate(Curve::p384).public_key(), "message", signature));
  CHECK_FALSE(verify_message(pub, "message", ""));
  CHECK_FALSE(verify_message(pub, "message", signature + '\0'));
  CHECK_FALSE(verify_message(pub, "message", std::string(64, 'x')));  // P1363 form
}

TEST_CASE("r and s outside [1, n-1] and encodings other than DER are refused") {
  const PublicKey pub = SecretKey::generate(Curve::p256).public_key();
  const std::string n =
      from_hex("00ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
  std::string above = n;
  ++above.back();
  const std::string one("\x01"), zero("\0", 1), padded("\0\x01", 2), negative("\x81");
  const std::vector<std::string> refused = {zero, n, above, padded, negative, ""};
  for (const std::string& number : refused) {
    CHECK_FALSE(verify_message(pub, "message", der_pair(number, one)));
    CHECK_FALSE(verify_message(pub, "message", der_pair(one, number)));
  }
  CHECK_FALSE(verify_message(pub, "message", der_pair(one, one)));  // in range, still wrong
}

TEST_CASE("every flipped bit of a signature is refused") {
  const SecretKey key = SecretKey::generate(Curve::p384);
  const PublicKey pub = key.public_key();
  std::string signature = sign_message(key, "message");
  for (std::size_t bit = 0; bit < signature.size() * 8; ++bit) {
    signature[bit / 8] = static_cast<char>(signature[bit / 8] ^ 1 << (bit % 8));
    CHECK_FALSE(verify_message(pub, "message", signature));
    signature[bit / 8] = static_cast<char>(signature[bit / 8] ^ 1 << (bit % 8));
  }
}

TEST_CASE("a key is saved with mode 0600, plain or encrypted, and never over another file") {
  const TempFolder folder = scratch();
  for (const std::string passphrase : {"", "correct horse"}) {
    const fs::path path = folder.path() / ("key" + std::to_string(passphrase.size()));
    const SecretKey key = SecretKey::generate(Curve::p521);
    key.save(path, passphrase);
    struct stat info = {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0600);
    CHECK(SecretKey::load(path, passphrase).public_key().id() == key.public_key().id());
    const bool encrypted = read_file(path, 1 << 16).find("ENCRYPTED") != std::string::npos;
    CHECK(encrypted == !passphrase.empty());
    CHECK(error_of([&] { key.save(path, passphrase); }).starts_with("already_exists"));
  }
}

TEST_CASE("a wrong or missing passphrase is an error, never a prompt") {
  const TempFolder folder = scratch();
  const fs::path path = folder.path() / "key";
  SecretKey::generate(Curve::p256).save(path, "right");
  for (const std::string& wrong : {std::string("wrong"), std::string(), std::string(2000, 'x')}) {
    const std::string error = error_of([&] { SecretKey::load(path, wrong); });
    CHECK(error.starts_with("invalid_argument"));
    CHECK(error.find("is encrypted") != std::string::npos);
    const bool missing = error.find("no passphrase is given") != std::string::npos;
    CHECK(missing == wrong.empty());
    // Who gave a wrong one need not hear how one is given.
    try {
      SecretKey::load(path, wrong);
    } catch (const Error& refusal) {
      CHECK((refusal.hint().find("--passphrase-file") != std::string::npos) == missing);
    }
  }
  const std::string none = error_of([&] { SecretKey::load_with(path, {}); });
  CHECK(none.starts_with("invalid_argument"));
  CHECK(none.find("no passphrase is given") != std::string::npos);
  bool asked = false;
  SecretKey::load_with(path, [&] {
    asked = true;
    return std::string("right");
  });
  CHECK(asked);
}

TEST_CASE("a private key that others can read, replace or redirect is refused") {
  const TempFolder folder = scratch();
  const fs::path path = folder.path() / "key";
  SecretKey::generate(Curve::p256).save(path, "");
  for (const mode_t mode : {0640, 0604, 0644, 0660, 0601}) {
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    const std::string error = error_of([&] { SecretKey::load(path); });
    CHECK(error.starts_with("invalid_argument"));
    CHECK(error.find("expected 0600") != std::string::npos);
  }
  REQUIRE(::chmod(path.c_str(), 0600) == 0);
  fs::create_symlink("key", folder.path() / "link");
  CHECK(error_of([&] { SecretKey::load(folder.path() / "link"); }).find("symlink") !=
        std::string::npos);
  REQUIRE(::chmod(folder.path().c_str(), 0777) == 0);
  CHECK(error_of([&] { SecretKey::load(path); }).find("everyone can write") != std::string::npos);
}

TEST_CASE("public key files that hold anything else are refused") {
  const TempFolder folder = scratch();
  const SecretKey key = SecretKey::generate(Curve::p256);
  const std::string pem = key.public_key().pem();
  CHECK(PublicKey::parse(pem, "k").id() == sha256(pem));
  key.save(folder.path() / "key", "");
  const std::string secret = read_file(folder.path() / "key", 1 << 16);
  std::string cut = pem;
  cut.erase(40, 4);
  const std::vector<std::pair<std::string, std::string>> cases = {
      {secret, "got a private key"},
      {pem + secret, "got a private key"},
      {pem + pem, "exactly one PEM public key"},
      {"", "exactly one PEM public key"},
      {"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "exactly one PEM"},
      {"junk\n" + pem, "not in the form"},
      {pem + "junk\n", "not in the form"},
      {cut, "malformed public key"},
      {std::string(70'000, 'x'), "at most"},
      // Ed25519 (RFC 8410, section 10.1)
      {"-----BEGIN PUBLIC KEY-----\n"
       "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
       "-----END PUBLIC KEY-----\n",
       "expected an ECDSA key"}};
  for (const auto& [given, expected] : cases) {
    const auto &text = given, &words = expected;
    const std::string error = error_of([&] { PublicKey::parse(text, "k"); });
    CAPTURE(words);
    CHECK(error.starts_with("invalid_argument"));
    CHECK(error.find(words) != std::string::npos);
  }
}

}  // namespace organ::format
