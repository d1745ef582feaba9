// SPDX-License-Identifier: Apache-2.0
// Input: a root of a log (JSON), or the note that holds one.
#include <string>

#include "registry/log/root.h"
#include "tests/fuzz/target.h"

namespace organ::registry {
namespace {

using fuzz::demand;

// Of the log that seeds/root/note is about.
constexpr char kOrigin[] = "organ-registry/5f30d4938bf8bd21";

void read_root(std::string_view text) {
  fuzz::expect({ErrorCode::corrupt, ErrorCode::unsupported_version}, [&] {
    const LogRoot root = LogRoot::parse(text, "root");
    demand(root.to_text() == text, "a root is written as it was read");
    demand(root.threshold >= 1 && root.threshold <= root.keys.size(), "its threshold can be met");
    demand(root.quorum <= root.witnesses.size(), "its quorum can be met");
    demand(lowered(root, root).empty(), "a root asks for no less than itself");
  });
}

void read_note(std::string_view text) {
  fuzz::expect({ErrorCode::corrupt, ErrorCode::untrusted, ErrorCode::unsupported_version}, [&] {
    const LogRoot root = read_root_note(text, kOrigin, "note");
    demand(text.starts_with(root_note_text(root, kOrigin)), "the signed text comes first");
    demand(origin_of(root) == kOrigin, "the log key has the log's name");
    fuzz::expect({ErrorCode::corrupt, ErrorCode::untrusted}, [&] {
      const RootSignatures by = count_signatures(root, text, kOrigin, "note");
      demand(by.own <= root.keys.size() && by.former == by.own, "a key counts once");
    });
  });
}

}  // namespace
}  // namespace organ::registry

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text = organ::fuzz::text_of(data, size);
  organ::registry::read_root(text);
  organ::registry::read_note(text);
  return 0;
}
