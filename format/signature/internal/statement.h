// SPDX-License-Identifier: Apache-2.0
// What all in-toto statements (in-toto/attestation spec v1) have that are signed here: one subject,
// by its SHA-256.
#pragma once

#include <string>
#include <string_view>

#include "format/base/digest.h"
#include "format/base/json.h"

namespace organ::format::internal {

struct StatementSubject {
  std::string name;  // for people
  Digest digest;
};

// The whole statement. Its text is what DSSE signs.
Json statement_json(const StatementSubject& subject, std::string_view predicate_type,
                    Json predicate);

// Both throw corrupt.
void require_statement(const JsonObject& root);  // `_type` is that of Statement v1
// Refuses two subjects, and digests beside that by SHA-256.
StatementSubject read_subject(const JsonObject& root);

// A digest as in-toto and OMS write it: 64 lower-case hex digits. Throws corrupt.
Digest read_hex(const JsonObject& object, std::string_view key);

}  // namespace organ::format::internal
