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

using EvpMdCtx = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using EvpPkey = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using RawKey = std::array<std::uint8_t, 32>;

inline constexpr std::size_t kSignatureSize = 64;
inline constexpr std::size_t kTimeSize = 8;

[[noreturn]] void fail_openssl(std::string_view what);
std::string_view view(const RawKey& key);
std::array<std::uint8_t, 4> key_id(std::string_view name, NoteKeyType type, const RawKey& key);
std::string key_text(std::string_view name, NoteKeyType type, const RawKey& key);
// What a cosigner signs of a note's text.
std::string cosigned_text(std::uint64_t time, std::string_view text);

}  // namespace organ::registry::notes
