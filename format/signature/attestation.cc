// SPDX-License-Identifier: Apache-2.0
#include "format/signature/attestation.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/manifest/evaluation_json.h"
#include "format/manifest/reference.h"
#include "format/signature/internal/attestation_statement.h"
#include "format/signature/internal/oms.h"
#include "format/signature/internal/statement.h"

namespace organ::format {
namespace {

// A name of ours alone: SLSA provenance asks for a builder that others run and answer for
// (runDetails.builder.id), which whoever trains on a machine of their own has not.
constexpr std::string_view kTypePrefix = "https://schemas.invalid/organ/attestation/";
constexpr std::string_view kTypeSuffix = "/v1";
constexpr std::array<std::string_view, 3> kTypeNames = {"evaluation", "compatibility", "training"};

// Of a statement, and of a predicate by itself.
JsonLimits limits_of_text() {
  JsonLimits limits;
  limits.bytes = kAttestationLimit;
  limits.keys = 100'000;
  limits.reals = true;
  limits.long_integers = true;
  return limits;
}

AttestationType type_of(const JsonObject& root) {
  const std::string uri = root.string("predicateType");
  if (!uri.starts_with(kTypePrefix)) {
    root.fail_field("predicateType", fmt::format("{} is no attestation of organ", quote(uri)));
  }
  for (std::size_t i = 0; i < kTypeNames.size(); ++i) {
    const auto type = static_cast<AttestationType>(i);
    if (predicate_type(type) == uri) return type;
  }
  throw Error(
      ErrorCode::unsupported_version,
      fmt::format("{}: this organ does not know the predicate type {}", root.path(), quote(uri)),
      "a newer organ made the attestation");
}

void read_finding(const JsonObject& finding) {
  finding.allow_only({"actual", "expected", "hint", "message", "rule", "severity"});
  for (const char* key : {"actual", "expected", "hint", "message", "rule"}) finding.string(key);
  const std::string severity = finding.string("severity");
  if (severity != "refusal" && severity != "warning" && severity != "note") {
    finding.fail_field("severity", "expected refusal, warning or note, got " + quote(severity));
  }
}

AttestedFit read_fit(const JsonObject& predicate) {
  predicate.allow_only({"findings", "fitting_positions", "installable", "layer_count", "level",
                        "position", "recipient"});
  AttestedFit fit;
  const JsonObject recipient = predicate.object("recipient");
  recipient.allow_only({"config_digest", "name"});
  fit.recipient = recipient.string("name");
  fit.config_digest = recipient.digest("config_digest");
  fit.position = predicate.unsigned_integer("position");
  fit.level = predicate.string("level");
  if (fit.level.size() != 1 || fit.level < "A" || fit.level > "D") {
    predicate.fail_field("level", "expected A, B, C or D, got " + quote(fit.level));
  }
  fit.installable = predicate.boolean("installable");
  predicate.unsigned_integer("layer_count");
  predicate.unsigned_integers("fitting_positions");
  for (const JsonObject& finding : predicate.objects("findings")) read_finding(finding);
  return fit;
}

void read_predicate(const JsonObject& predicate, Attestation& statement) {
  switch (statement.type) {
    case AttestationType::evaluation:
      predicate.allow_only({"evaluations"});
      statement.evaluations = checked_evaluations(predicate);
      if (statement.evaluations.empty()) predicate.fail_field("evaluations", "is empty");
      break;
    case AttestationType::compatibility: statement.fit = read_fit(predicate); break;
    case AttestationType::training:
      predicate.allow_only({"extraction", "training"});
      checked_extraction(predicate);
      statement.training = checked_training(predicate);
      break;
  }
  statement.predicate = json_text(predicate.value());
}

void require_length(std::string_view bundle, std::string_view subject) {
  if (bundle.size() <= kAttestationLimit) return;
  fail(ErrorCode::corrupt, "{}: an attestation has at most {} bytes, got {}", subject,
       kAttestationLimit, bundle.size());
}

}  // namespace

namespace internal {

std::string write_attestation(const Attestation& statement) {
  return canonical_json_with_reals(statement_json({statement.organ, statement.identity},
                                                  predicate_type(statement.type),
                                                  json_of(statement.predicate)));
}

Attestation parse_attestation(std::string_view payload, std::string_view subject) {
  const Json document = parse_json(payload, limits_of_text(), subject);
  const JsonObject root(document, std::string(subject));
  require_statement(root);
  Attestation statement;
  statement.type = type_of(root);
  root.allow_only({"_type", "subject", "predicateType", "predicate"});
  StatementSubject about = read_subject(root);
  try {
    parse_exact(about.name);
  } catch (const Error& error) {
    root.fail_field("subject", "its name is no NAME:VERSION: " + error.message());
  }
  statement.organ = std::move(about.name);
  statement.identity = about.digest;
  read_predicate(root.object("predicate"), statement);
  return statement;
}

}  // namespace internal

std::string_view to_string(AttestationType type) {
  return kTypeNames[static_cast<std::size_t>(type)];
}

std::optional<AttestationType> parse_attestation_type(std::string_view name) {
  const auto found = std::find(kTypeNames.begin(), kTypeNames.end(), name);
  if (found == kTypeNames.end()) return std::nullopt;
  return static_cast<AttestationType>(found - kTypeNames.begin());
}

std::string predicate_type(AttestationType type) {
  return fmt::format("{}{}{}", kTypePrefix, to_string(type), kTypeSuffix);
}

JsonText recorded_predicate(AttestationType type, const Manifest& organ) {
  Json predicate = Json::object();
  switch (type) {
    case AttestationType::evaluation:
      for (const Evaluation& one : organ.evaluations)
        predicate["evaluations"].push_back(to_json(one));
      break;
    case AttestationType::training:
      if (!organ.training) break;
      predicate["extraction"] = to_json(organ.extraction);
      predicate["training"] = to_json(*organ.training);
      break;
    case AttestationType::compatibility: break;
  }
  if (predicate.empty()) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}:{}: its organ.json records nothing that an attestation of {} could "
                            "state",
                            organ.name, organ.version, to_string(type)),
                "--from FILE says what to state");
  }
  return json_text(predicate);
}

JsonText parse_predicate(AttestationType type, std::string_view text, std::string_view subject) {
  const Json document = parse_json(text, limits_of_text(), subject);
  Attestation statement;
  statement.type = type;
  read_predicate(JsonObject(document, std::string(subject)), statement);
  return statement.predicate;
}

std::string sign_attestation(AttestationType type, const Manifest& organ, const Digest& identity,
                             const JsonText& predicate, const SecretKey& key) {
  Attestation statement;
  statement.type = type;
  statement.organ = organ.name + ":" + organ.version;
  statement.identity = identity;
  statement.predicate = predicate;
  std::string bundle = internal::sign_payload(internal::write_attestation(statement), key);
  if (bundle.size() > kAttestationLimit) {
    fail(ErrorCode::invalid_argument, "attestation: has {} bytes, a reader takes at most {}",
         bundle.size(), kAttestationLimit);
  }
  verify_attestation(bundle, {{key.public_key()}}, "attestation");  // we write what we read
  return bundle;
}

bool is_attestation(std::string_view bundle) {
  if (bundle.size() > kAttestationLimit) return false;
  try {
    const std::string payload = internal::parse_bundle(bundle, "bundle").payload;
    const Json document = parse_json(payload, limits_of_text(), "statement");
    return JsonObject(document, "statement").string("predicateType").starts_with(kTypePrefix);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal) throw;
    return false;
  }
}

Attestation verify_attestation(std::string_view bundle, const SignerTrust& trust,
                               std::string_view subject) {
  require_length(bundle, subject);
  const internal::SignedPayload opened = internal::open_bundle(bundle, trust, subject);
  Attestation statement = internal::parse_attestation(opened.payload, subject);
  statement.key = opened.key;
  return statement;
}

Attestation read_attestation(std::string_view bundle, std::string_view subject) {
  require_length(bundle, subject);
  const internal::Envelope envelope = internal::parse_bundle(bundle, subject);
  Attestation statement = internal::parse_attestation(envelope.payload, subject);
  statement.key = envelope.hint;
  return statement;
}

}  // namespace organ::format
