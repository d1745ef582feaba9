// SPDX-License-Identifier: Apache-2.0
#include "format/signature/internal/openssl.h"

#include <climits>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "format/base/fail.h"

namespace organ::format::internal {

void free_bio(bio_st* bio) noexcept { BIO_free_all(bio); }

std::string openssl_reason() {
  const char* data = nullptr;
  int flags = 0;
  const unsigned long code = ERR_peek_last_error_data(&data, &flags);
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  std::string text = reason != nullptr ? escape_text(reason) : "no reason given";
  const bool more = reason != nullptr && data != nullptr && (flags & ERR_TXT_STRING) != 0;
  if (more && *data != '\0') text += ": " + escape_text(data);  // as "Verify error:…" of stamps
  ERR_clear_error();
  return text;
}

void require_openssl(bool success, std::string_view action) {
  if (success) return;
  fail(ErrorCode::internal, "OpenSSL: {} failed: {}", action, openssl_reason());
}

Bio memory_bio(std::string_view text) {
  check(text.size() <= INT_MAX, "a text for OpenSSL that is too long");
  Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  require_openssl(bio != nullptr, "BIO_new_mem_buf");
  return bio;
}

Bio empty_bio() {
  Bio bio(BIO_new(BIO_s_mem()));
  require_openssl(bio != nullptr, "BIO_new");
  return bio;
}

std::string text_of(bio_st* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

std::string public_pem(evp_pkey_st* key) {
  const Bio bio = empty_bio();
  require_openssl(PEM_write_bio_PUBKEY(bio.get(), key) == 1, "PEM_write_bio_PUBKEY");
  return text_of(bio.get());
}

bool is_uncompressed(evp_pkey_st* key) {
  X509_PUBKEY* written = nullptr;
  const bool made = X509_PUBKEY_set(&written, key) == 1;
  const std::unique_ptr<X509_PUBKEY, Deleter<X509_PUBKEY_free>> owned(written);
  const unsigned char* point = nullptr;
  int size = 0;
  require_openssl(made && X509_PUBKEY_get0_param(nullptr, &point, &size, nullptr, written) == 1,
                  "X509_PUBKEY_set");
  return size > 0 && point[0] == POINT_CONVERSION_UNCOMPRESSED;
}

}  // namespace organ::format::internal
