// SPDX-License-Identifier: Apache-2.0
// Input: organ.json. It is read as it is, and once more after what no mutation gets right was set
// right: canonical form and the digest of the layer's fields.
#include <nlohmann/json.hpp>

#include "format/architecture/architecture.h"
#include "format/base/file.h"
#include "format/base/json.h"
#include "format/manifest/manifest.h"
#include "format/manifest/model_card.h"
#include "tests/fuzz/target.h"

namespace organ::format {
namespace {

using fuzz::demand;

constexpr JsonLimits kLimits = {.reals = true, .long_integers = true};

void check_accepted(const Manifest& manifest, std::string_view text) {
  demand(text.size() <= kManifestLimit, "the limit holds");
  demand(manifest.to_text() == text, "a manifest is written as it was read");
  demand(canonical_json_with_reals(parse_json(text, kLimits, "again")) == text,
         "the text is canonical");
  demand(Architecture::signature(manifest.architecture.layer) == manifest.architecture.signature,
         "the signature is that of the layer's fields");
  demand(manifest.extraction.layer_digests.size() == manifest.layer_count(),
         "one digest per layer");
  for (std::size_t i = 0; i < manifest.files.size(); ++i) {
    const FileEntry& file = manifest.files[i];
    demand(is_safe_file_name(file.path), "a file name leads nowhere else");
    demand(i == 0 || manifest.files[i - 1].path < file.path, "files are sorted, none twice");
    demand(manifest.find_file(file.path) == &file, "a file is found by its path");
    demand(file.chunks.size() == (file.size + kChunkSize - 1) / kChunkSize, "one digest per piece");
    demand(file.tensors.size() == file.tensor_digests.size(), "one digest per tensor");
    std::uint64_t end = file.data_start;
    for (const TensorInfo& tensor : file.tensors) end += tensor.size;
    demand(file.role == FileRole::card || end == file.size, "tensors fill their file");
  }
  demand(!model_card(manifest).empty(), "every organ has a card");
}

void read(std::string_view text) {
  fuzz::expect({ErrorCode::corrupt, ErrorCode::unsupported_version},
               [&] { check_accepted(Manifest::parse(text, "organ.json"), text); });
}

void read_repaired(std::string_view text) {
  std::string repaired;
  try {
    Json json = parse_json(text, kLimits, "organ.json");
    if (!json.is_object() || !json.contains("architecture")) return;
    Json& architecture = json["architecture"];
    if (architecture.is_object() && architecture.contains("layer")) {
      architecture["signature"] =
          sha256(canonical_json_with_reals(architecture["layer"])).to_string();
    }
    repaired = canonical_json_with_reals(json);
  } catch (const Error&) {
    return;  // said already by read()
  }
  if (repaired != text) read(repaired);
}

}  // namespace
}  // namespace organ::format

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text = organ::fuzz::text_of(data, size);
  organ::format::read(text);
  organ::format::read_repaired(text);
  return 0;
}
