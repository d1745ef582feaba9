// SPDX-License-Identifier: Apache-2.0
// Input: one JSON text, read as config.json and as a shard index.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "format/architecture/architecture.h"
#include "format/architecture/architecture_reader.h"
#include "format/base/error.h"
#include "format/base/json.h"
#include "format/checkpoint/internal/checkpoint_files.h"
#include "tests/fuzz/target.h"

namespace organ::format {
namespace {

void use(const Architecture& model) {
  const std::uint64_t layers = std::min<std::uint64_t>(model.layer_count(), 3);
  const JsonText fields = model.layer_fields(model.layer_count() - layers, layers);
  fuzz::demand(Architecture::signature(fields) == sha256(canonical_json(json_of(fields))),
               "a signature is the digest of its fields");
  for (const LayerTensor& tensor : model.tensors()) byte_size(DType::F64, tensor.shape, "tensor");
}

void read_config(std::string_view text) {
  JsonLimits limits;
  limits.foreign = true;
  const Json config = parse_json(text, limits, "config.json");
  const TensorInfo tensor{"h.0.w", DType::F32, {1}, 0, 4};
  const TensorInfo* const all[] = {&tensor};
  static_cast<void>(JsonObject(config, "config").value());  // an object, or refused
  try {
    use(ArchitectureReader::from_config(config, "config"));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::incompatible) throw;
    use(ArchitectureReader::from_tensors(config, "config", all, "", error));
  }
}

}  // namespace
}  // namespace organ::format

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using organ::ErrorCode;
  const std::string_view text = organ::fuzz::text_of(data, size);
  organ::fuzz::expect({ErrorCode::corrupt, ErrorCode::incompatible},
                      [&] { organ::format::read_config(text); });
  organ::fuzz::expect({ErrorCode::corrupt, ErrorCode::incompatible},
                      [&] { organ::format::internal::parse_shard_index(text, "index"); });
  return 0;
}
