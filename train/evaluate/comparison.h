// SPDX-License-Identifier: Apache-2.0
// One measurement as `organ eval` shows it, and as --against reads it back.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "format/manifest/evaluation.h"
#include "train/evaluate/bootstrap.h"

namespace organ::train {

// What a comparison needs of a measurement.
struct EvalRecord {
  std::string source;    // model folder or saved record, as given
  std::string protocol;  // protocol_name()
  std::int64_t context = 0, stride = 0;
  std::uint64_t tokens = 0;  // targets
  double nll = 0, perplexity = 0;
  std::string dataset;  // digest, hex
  std::optional<std::string> tokenizer;
  // As in format::EvaluationConditions; nullopt: an organ that did not record it yet made this.
  std::optional<std::string> precision, device;
  std::optional<std::optional<std::vector<std::uint64_t>>> lead_in;
  std::optional<format::EvaluationReading> reading;
  std::vector<DocumentScore> documents;
};

// An array of {"nll": sum in nats, "targets": count}, in the order of the documents.
nlohmann::json document_scores(const std::vector<DocumentScore>& documents);

// Throws invalid_argument when a record with a score for each of so many documents, of data from so
// many files, could be longer than read_eval_record reads: before anything is measured.
void require_record_fits(std::uint64_t documents, std::uint64_t files);

// Reads what `organ eval --json --per-document` printed (schemas/eval.v1.schema.json). Throws
// corrupt, and invalid_argument for a record without the documents' scores. Perplexity is made from
// the nll; `source` is `file` as given. Throws unsupported_version for another schema_version than
// 1, and what reading a file throws. At most 256 MiB.
EvalRecord read_eval_record(const std::filesystem::path& file);

// Throws invalid_argument naming the first thing that makes two measurements incomparable, of what
// is known before either is made: one of them differs, or only one record says what it was. So does
// a diagnostic protocol, even of both.
void check_conditions(const EvalRecord& first, const EvalRecord& second);
// The same of two that were made, and that their numbers of targets are equal.
void check_comparable(const EvalRecord& first, const EvalRecord& second);

// The fields of schemas/comparison.v1.schema.json. The conditions are those of `first`; what it
// does not say is null.
nlohmann::json comparison_record(const EvalRecord& first, const EvalRecord& second,
                                 const PairedDifference& difference,
                                 const BootstrapOptions& options);
// The same as a line for people.
std::string describe(const PairedDifference& difference, const BootstrapOptions& options);

}  // namespace organ::train
