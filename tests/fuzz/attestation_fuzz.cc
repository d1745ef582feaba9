// SPDX-License-Identifier: Apache-2.0
// Input: an attestation's bundle, the statement inside one, or a predicate.
#include "format/signature/internal/attestation_statement.h"
#include "tests/fuzz/target.h"

namespace organ::format {
namespace {

using fuzz::demand;

constexpr AttestationType kTypes[] = {AttestationType::evaluation, AttestationType::compatibility,
                                      AttestationType::training};

void check_statement(const Attestation& statement) {
  demand(!statement.organ.empty(), "a statement is about an organ");
  demand(statement.evaluations.empty() == (statement.type != AttestationType::evaluation) &&
             statement.fit.has_value() == (statement.type == AttestationType::compatibility) &&
             statement.training.has_value() == (statement.type == AttestationType::training),
         "it has what its type has");
  const std::string text = internal::write_attestation(statement);
  const Attestation again = internal::parse_attestation(text, "again");
  demand(again.type == statement.type && again.organ == statement.organ &&
             again.identity == statement.identity && again.predicate == statement.predicate,
         "a statement is read again as it was written");
  demand(internal::write_attestation(again) == text, "its text is a fixed point");
}

void run(std::string_view text) {
  fuzz::expect({ErrorCode::corrupt, ErrorCode::unsupported_version},
               [&] { check_statement(internal::parse_attestation(text, "statement")); });
  fuzz::expect({ErrorCode::corrupt, ErrorCode::untrusted, ErrorCode::unsupported_version}, [&] {
    check_statement(read_attestation(text, "bundle"));
    demand(is_attestation(text), "what is read as one is one");
  });
  for (const AttestationType type : kTypes) {
    fuzz::expect({ErrorCode::corrupt}, [&] {
      const JsonText predicate = parse_predicate(type, text, "predicate");
      demand(parse_predicate(type, predicate.text(), "again") == predicate,
             "a predicate is read again as it was written");
    });
  }
}

}  // namespace
}  // namespace organ::format

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  organ::format::run(organ::fuzz::text_of(data, size));
  return 0;
}
