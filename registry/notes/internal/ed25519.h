// SPDX-License-Identifier: Apache-2.0
// What verifying and signing share: ids of keys, what is signed, OpenSSL's errors.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/evp.h>

#include "format/base/handle.h"
#include "registry/notes/note.h"

namespace organ::registry::notes {

// OpenSSL's objects, owned.
using EvpMdCtx = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using EvpPkey = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
// A public key as RFC 8032 writes it.
using RawKey = std::array<std::uint8_t, 32>;

// Bytes of a signature (RFC 8032), and of the time before one of a cosigner.
inline constexpr std::size_t kSignatureSize = 64;
inline constexpr std::size_t kTimeSize = 8;

[[noreturn]] void fail_openssl(std::string_view what);
// The same bytes; lives as long as the key.
std::string_view view(const RawKey& key);
// First four bytes of SHA-256(NAME LF TYPE KEY), c2sp.org/signed-note.
std::array<std::uint8_t, 4> key_id(std::string_view name, NoteKeyType type, const RawKey& key);
// The verifier key: NAME+HEX(key_id)+BASE64(TYPE KEY). `name` is not checked.
std::string key_text(std::string_view name, NoteKeyType type, const RawKey& key);
// What a cosigner signs of a note's text: "cosignature/v1" LF "time " SECONDS LF TEXT, seconds
// since 1970 (c2sp.org/tlog-cosignature).
std::string cosigned_text(std::uint64_t time, std::string_view text);

}  // namespace organ::registry::notes
