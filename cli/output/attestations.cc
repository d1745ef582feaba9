// SPDX-License-Identifier: Apache-2.0
#include "cli/output/attestations.h"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"

namespace organ::cli {
namespace {

constexpr std::size_t kLongestProblem = 2048;

}  // namespace

std::vector<std::string> attestation_lines(
    const std::vector<registry::JudgedAttestation>& attestations) {
  std::vector<std::string> lines;
  for (const registry::JudgedAttestation& one : attestations) {
    const std::string problem = escape_text(one.problem, kLongestProblem);
    if (!one.statement) {
      lines.push_back("cannot be read: " + problem);
      continue;
    }
    lines.push_back(fmt::format("{} by {}, {}", to_string(one.statement->type),
                                one.statement->key.to_string(),
                                one.trusted ? "trusted" : "not trusted: " + problem));
  }
  return lines;
}

nlohmann::json to_json(const std::vector<registry::JudgedAttestation>& attestations) {
  nlohmann::json list = nlohmann::json::array();
  for (const registry::JudgedAttestation& one : attestations) {
    nlohmann::json record = {{"type", nullptr}, {"signer", nullptr}, {"predicate", nullptr}};
    if (one.statement) {
      record["type"] = to_string(one.statement->type);
      record["signer"] = one.statement->key.to_string();
      record["predicate"] = json_of(one.statement->predicate);
    }
    record["trusted"] = one.trusted;
    if (one.trusted) {
      record["problem"] = nullptr;
    } else {
      record["problem"] = escape_text(one.problem, kLongestProblem);
    }
    list.push_back(std::move(record));
  }
  return list;
}

std::string to_text(const format::Attestation& statement) {
  return fmt::format(
      "attestation   {}\nof            {}  {}\nnames key     {}\nchecked       no; organ verify "
      "--attestation does that\n{}",
      to_string(statement.type), escape_text(statement.organ), statement.identity.to_string(),
      statement.key.to_string(), json_of(statement.predicate).dump(2, ' ', true));
}

nlohmann::json to_json(const format::Attestation& statement) {
  return {{"kind", "attestation"},
          {"type", to_string(statement.type)},
          {"organ", escape_text(statement.organ)},
          {"digest", statement.identity.to_string()},
          {"signer", statement.key.to_string()},
          {"predicate", json_of(statement.predicate)}};
}

std::vector<StatedFigures> attested_figures(
    const std::vector<registry::JudgedAttestation>& attestations) {
  std::vector<StatedFigures> statements;
  for (const registry::JudgedAttestation& one : attestations) {
    if (one.trusted && one.statement) statements.push_back(one.statement->evaluations);
  }
  return statements;
}

}  // namespace organ::cli
