// SPDX-License-Identifier: Apache-2.0
// Input: a proof of an entry (JSON). Only what the fixed key signed is proved by it.
#include <string>

#include "registry/history/log_proof.h"
#include "tests/fuzz/target.h"

namespace organ::registry {
namespace {

using fuzz::demand;

// Of the registry whose entry is proved by seeds/log_proof/publish.json.
constexpr char kFixedKey[] =
    "organ-registry/5f30d4938bf8bd21+5aab866d+AVZxrXg9uPubqSlDbzKyJSUjN+E2i4CMRcyQHj6C1EuJ";

void read_proof(std::string_view text) {
  fuzz::expect({ErrorCode::corrupt, ErrorCode::unsupported_version}, [&] {
    const LogProof proof = LogProof::parse(text, "proof");
    const LogProof again = LogProof::parse(proof.to_text(), "again");
    demand(again.to_text() == proof.to_text(), "a proof reads again what it wrote");
    fuzz::expect({ErrorCode::corrupt, ErrorCode::untrusted, ErrorCode::unsupported_version}, [&] {
      const ProvedEntry proved = check_proof(proof, {.log_key = kFixedKey}, "proof");
      demand(proof.log_key == kFixedKey, "only this key is trusted");
      demand(proved.entry.to_text() == proof.entry, "what is proved is what was read");
      demand(proof.index < proved.entries, "the entry is within the log");
    });
  });
}

}  // namespace
}  // namespace organ::registry

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  organ::registry::read_proof(organ::fuzz::text_of(data, size));
  return 0;
}
