// SPDX-License-Identifier: Apache-2.0
#include "format/signature/internal/statement.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "format/base/fail.h"

namespace organ::format::internal {
namespace {

constexpr std::string_view kStatementType = "https://in-toto.io/Statement/v1";

}  // namespace

Json statement_json(const StatementSubject& subject, std::string_view predicate_type,
                    Json predicate) {
  Json about = {{"name", subject.name},
                {"digest", Json::object({{"sha256", subject.digest.hex()}})}};
  return {{"_type", kStatementType},
          {"subject", Json::array({std::move(about)})},
          {"predicateType", predicate_type},
          {"predicate", std::move(predicate)}};
}

void require_statement(const JsonObject& root) { root.require_string("_type", kStatementType); }

Digest read_hex(const JsonObject& object, std::string_view key) {
  const std::string text = object.string(key);
  try {
    return Digest::parse_hex(text);
  } catch (const Error&) {
    object.fail_field(key, "expected 64 lower-case hex digits, got " + quote(text));
  }
}

StatementSubject read_subject(const JsonObject& root) {
  const auto subjects = root.objects("subject");
  if (subjects.size() != 1) {
    root.fail_field("subject", fmt::format("expected exactly one, got {}", subjects.size()));
  }
  subjects[0].allow_only({"name", "digest"});
  StatementSubject subject{.name = subjects[0].string("name"), .digest = {}};
  const JsonObject digest = subjects[0].object("digest");
  digest.allow_only({"sha256"});
  subject.digest = read_hex(digest, "sha256");
  return subject;
}

}  // namespace organ::format::internal
