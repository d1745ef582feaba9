// SPDX-License-Identifier: Apache-2.0
// What every file needs that calls OpenSSL about signatures: memory to read from, and its reasons.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "format/base/handle.h"

struct bio_st;
struct evp_pkey_st;

namespace organ::format::internal {

void free_bio(bio_st* bio) noexcept;  // and what is chained to it
using Bio = std::unique_ptr<bio_st, Deleter<free_bio>>;

// OpenSSL's newest reason, escaped; its queue is empty afterwards.
std::string openssl_reason();

// Throws internal with that reason unless `success`; `action` is the name of the function.
void require_openssl(bool success, std::string_view action);

Bio memory_bio(std::string_view text);  // reads `text`, which must outlive it
Bio empty_bio();                        // what is written to it, text_of gives
std::string text_of(bio_st* bio);

// PEM SubjectPublicKeyInfo as OpenSSL writes it: what KeyId is the digest of.
std::string public_pem(evp_pkey_st* key);
// Whether the point of an EC key stands there whole (SEC 1, 2.3.3), and not compressed or hybrid.
bool is_uncompressed(evp_pkey_st* key);

}  // namespace organ::format::internal
