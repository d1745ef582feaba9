// SPDX-License-Identifier: Apache-2.0
// Input: .organ/receipts/NNNN.json.
#include "format/base/file.h"
#include "tests/fuzz/target.h"
#include "transplant/receipt.h"

namespace organ::transplant {
namespace {

using fuzz::demand;

bool same(const std::optional<FileMetadata>& a, const std::optional<FileMetadata>& b) {
  if (!a || !b) return !a && !b;
  return a->mode == b->mode && a->owner == b->owner && a->group == b->group &&
         a->seconds == b->seconds && a->nanoseconds == b->nanoseconds &&
         a->attributes == b->attributes;
}

void run(std::string_view text) {
  fuzz::expect({ErrorCode::corrupt, ErrorCode::unsupported_version}, [&] {
    const Receipt receipt = Receipt::parse(text, "receipt");
    for (std::size_t i = 0; i < receipt.files.size(); ++i) {
      const FileChange& file = receipt.files[i];
      demand(is_safe_file_name(file.path), "a file name leads nowhere else");
      demand(i == 0 || receipt.files[i - 1].path < file.path, "files are sorted, none twice");
      demand(file.before == file.after || file.undo, "what was changed can be undone");
    }
    const std::string written = receipt.to_text();
    const Receipt again = Receipt::parse(written, "again");
    demand(again.to_text() == written, "its text is a fixed point");
    demand(again.number == receipt.number && again.organ_name == receipt.organ_name &&
               again.organ_version == receipt.organ_version && again.source == receipt.source &&
               again.manifest_digest == receipt.manifest_digest &&
               again.position == receipt.position && again.first_layer == receipt.first_layer &&
               again.layer_count == receipt.layer_count && again.created == receipt.created,
           "a receipt is read again as it was written");
    demand(again.trust.status == receipt.trust.status && again.trust.keys == receipt.trust.keys &&
               again.trust.reasons == receipt.trust.reasons &&
               again.conversions.size() == receipt.conversions.size(),
           "so are its trust and its conversions");
    demand(again.files.size() == receipt.files.size(), "so are its files");
    for (std::size_t i = 0; i < receipt.files.size(); ++i) {
      const FileChange &a = receipt.files[i], &b = again.files[i];
      demand(a.path == b.path && a.size == b.size && a.before == b.before && a.after == b.after &&
                 a.undo == b.undo && same(a.metadata, b.metadata),
             "and each of them");
    }
  });
}

}  // namespace
}  // namespace organ::transplant

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  organ::transplant::run(organ::fuzz::text_of(data, size));
  return 0;
}
