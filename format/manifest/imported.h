// SPDX-License-Identifier: Apache-2.0
// Layers that organ did not cut out itself: the optional field `imported` of organ.json.
#pragma once

#include <optional>
#include <string>

#include "format/base/digest.h"
#include "format/manifest/manifest.h"

#pragma GCC visibility push(default)

namespace organ::format {

// The file that they came in. Whether and how they were trained is then known to nobody here.
struct ImportRecord {
  std::string file;  // its name without folders, for people
  Digest digest;     // SHA-256 of its bytes
  // Of donor_metadata.json, the text beside it; nullopt: there was none.
  std::optional<Digest> metadata_digest;
};

// Puts it into `manifest.extensions`, over one that is there.
void record_import(const ImportRecord& record, Manifest& manifest);

// nullopt for an organ that was cut out or trained by organ. Throws corrupt for another form of it.
std::optional<ImportRecord> import_record(const Manifest& manifest);

}  // namespace organ::format

#pragma GCC visibility pop
