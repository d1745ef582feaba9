// SPDX-License-Identifier: Apache-2.0
#include "format/base/digest.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "format/base/fail.h"
#include "format/base/handle.h"

namespace organ {
namespace {

constexpr std::string_view kPrefix = "sha256:";

using EvpMdCtx = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

Digest Digest::parse(std::string_view text, std::string_view subject) {
  if (!text.starts_with(kPrefix)) {
    fail(ErrorCode::invalid_argument, "{}: expected sha256:<64 hex digits>, got {}", subject,
         quote(text));
  }
  return parse_hex(text.substr(kPrefix.size()), subject);
}

Digest Digest::parse_hex(std::string_view hex, std::string_view subject) {
  std::array<std::uint8_t, kSize> bytes{};
  bool good = hex.size() == kHexSize;
  for (std::size_t i = 0; good && i < kSize; ++i) {
    const int high = hex_value(hex[2 * i]);
    const int low = hex_value(hex[2 * i + 1]);
    good = high >= 0 && low >= 0;
    bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  if (!good) {
    fail(ErrorCode::invalid_argument, "{}: expected 64 lower-case hex digits, got {}", subject,
         quote(hex));
  }
  return Digest(bytes);
}

std::string Digest::hex() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(kHexSize);
  for (const std::uint8_t byte : bytes_) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::string Digest::to_string() const { return std::string(kPrefix) + hex(); }

struct Sha256Hasher::Impl {
  EvpMdCtx context{EVP_MD_CTX_new()};
  void start() {
    if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1) {
      fail(ErrorCode::internal, "SHA-256 is not available in this OpenSSL");
    }
  }
};

Sha256Hasher::Sha256Hasher() : impl_(std::make_unique<Impl>()) { impl_->start(); }
Sha256Hasher::~Sha256Hasher() = default;
Sha256Hasher::Sha256Hasher(Sha256Hasher&&) noexcept = default;
Sha256Hasher& Sha256Hasher::operator=(Sha256Hasher&&) noexcept = default;

void Sha256Hasher::update(std::span<const std::byte> bytes) {
  check(EVP_DigestUpdate(impl_->context.get(), bytes.data(), bytes.size()) == 1, "SHA-256 update");
}

void Sha256Hasher::update(std::string_view text) { update(std::as_bytes(std::span(text))); }

Digest Sha256Hasher::finish() {
  std::array<std::uint8_t, Digest::kSize> bytes{};
  unsigned length = 0;
  check(EVP_DigestFinal_ex(impl_->context.get(), bytes.data(), &length) == 1 &&
            length == Digest::kSize,
        "SHA-256 final");
  impl_->start();
  return Digest(bytes);
}

std::optional<bool> has_sha_instructions() {
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b >> 29 & 1) != 0;
#elif defined(__aarch64__)
  constexpr unsigned long kSha2 = 1ul << 6;  // HWCAP_SHA2
  return (::getauxval(AT_HWCAP) & kSha2) != 0;
#else
  return std::nullopt;
#endif
}

std::string crypto_library() { return OpenSSL_version(OPENSSL_VERSION); }

Digest sha256(std::span<const std::byte> bytes) {
  Sha256Hasher hasher;
  hasher.update(bytes);
  return hasher.finish();
}

Digest sha256(std::string_view text) { return sha256(std::as_bytes(std::span(text))); }

}  // namespace organ
