// SPDX-License-Identifier: Apache-2.0
#include "format/manifest/overlap_record.h"

#include <nlohmann/json.hpp>

#include "format/base/json.h"

namespace organ::format {
namespace {

constexpr std::string_view kOverlapField = "held_out_overlap", kGram = "gram_tokens",
                           kShare = "share", kDataset = "dataset_digest";

}  // namespace

JsonText overlap_text(const OverlapRecord& record) {
  return json_text({{std::string(kGram), record.gram_tokens},
                    {std::string(kShare), record.share},
                    {std::string(kDataset), record.dataset_digest.to_string()}});
}

void record_overlap(const OverlapRecord& record, Manifest& manifest) {
  Json extensions = json_of(manifest.extensions);
  extensions[std::string(kOverlapField)] = json_of(overlap_text(record));
  manifest.extensions = json_text(extensions);
}

std::optional<OverlapRecord> overlap_record(const Manifest& manifest) {
  const Json extensions = json_of(manifest.extensions);
  const JsonObject fields(extensions, std::string(kManifestFile));
  if (fields.is_null(kOverlapField)) return std::nullopt;
  const JsonObject field = fields.object(kOverlapField);
  OverlapRecord record{field.unsigned_integer(kGram), field.real(kShare), field.digest(kDataset)};
  if (record.gram_tokens == 0) field.fail_field(kGram, "expected at least 1, got 0");
  if (record.share < 0 || record.share > 1) field.fail_field(kShare, "expected 0 to 1");
  return record;
}

}  // namespace organ::format
