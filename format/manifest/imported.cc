// SPDX-License-Identifier: Apache-2.0
#include "format/manifest/imported.h"

#include <nlohmann/json.hpp>

#include "format/base/json.h"

namespace organ::format {
namespace {

constexpr std::string_view kField = "imported", kFile = "file", kDigest = "digest",
                           kMetadata = "metadata_digest";

}  // namespace

void record_import(const ImportRecord& record, Manifest& manifest) {
  Json extensions = json_of(manifest.extensions);
  Json& field = extensions[std::string(kField)] = Json::object();
  field[std::string(kFile)] = record.file;
  field[std::string(kDigest)] = record.digest.to_string();
  field[std::string(kMetadata)] =
      record.metadata_digest ? Json(record.metadata_digest->to_string()) : Json();
  manifest.extensions = json_text(extensions);
}

std::optional<ImportRecord> import_record(const Manifest& manifest) {
  const Json extensions = json_of(manifest.extensions);
  const JsonObject fields(extensions, std::string(kManifestFile));
  if (fields.is_null(kField)) return std::nullopt;
  const JsonObject field = fields.object(kField);
  ImportRecord record{field.string(kFile), field.digest(kDigest), std::nullopt};
  if (!field.is_null(kMetadata)) record.metadata_digest = field.digest(kMetadata);
  return record;
}

}  // namespace organ::format
