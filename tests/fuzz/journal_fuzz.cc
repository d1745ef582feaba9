// SPDX-License-Identifier: Apache-2.0
// Input: .organ/journal.
#include "format/base/file.h"
#include "tests/fuzz/target.h"
#include "transplant/internal/change.h"

namespace organ::transplant {
namespace {

using fuzz::demand;

void run(std::string_view text) {
  fuzz::expect({ErrorCode::corrupt, ErrorCode::unsupported_version}, [&] {
    const Change change = Change::parse(text, "journal");
    demand(text.size() <= kJournalLimit, "the limit holds");
    for (const Change::File& file : change.files) {
      demand(is_safe_file_name(file.path), "a file name leads nowhere else");
    }
    const std::string written = change.to_text();
    const Change again = Change::parse(written, "again");
    demand(again.to_text() == written, "its text is a fixed point");
    demand(again.kind == change.kind && again.number == change.number &&
               again.files.size() == change.files.size(),
           "a journal is read again as it was written");
    for (std::size_t i = 0; i < change.files.size(); ++i) {
      const Change::File &a = change.files[i], &b = again.files[i];
      demand(a.path == b.path && a.before == b.before && a.after == b.after,
             "so is each of its files");
    }
  });
}

}  // namespace
}  // namespace organ::transplant

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  organ::transplant::run(organ::fuzz::text_of(data, size));
  return 0;
}
