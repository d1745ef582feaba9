// SPDX-License-Identifier: Apache-2.0
#include "format/organ/shared_values.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "format/base/error.h"
#include "format/base/json.h"
#include "format/tensor/convert.h"

namespace organ::format {
namespace {

constexpr std::string_view kField = "shared_values";
constexpr std::array kTypes = {DType::F32, DType::F16, DType::BF16};

Digest digest_of(const std::vector<std::byte>& bytes) {
  return sha256({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::vector<std::byte> converted(DType from, DType to, const std::vector<std::byte>& bytes) {
  if (from == to) return bytes;
  std::vector<std::byte> out(bytes.size() * bit_width(to) / bit_width(from));
  convert_elements(from, to, bytes, out, kSharedTensor);
  return out;
}

}  // namespace

std::optional<SharedValues> shared_values(const Checkpoint& checkpoint) {
  const auto table = checkpoint.shared_state();
  if (!table) return std::nullopt;
  const auto bytes = checkpoint.read(*table);
  SharedValues values{table->tensor->dtype, {}};
  values.digests.emplace(values.stored, digest_of(bytes));
  if (std::find(kTypes.begin(), kTypes.end(), values.stored) == kTypes.end()) return values;
  const auto exact = converted(values.stored, DType::F32, bytes);
  for (const DType type : kTypes) {
    try {
      values.digests.emplace(type, digest_of(converted(DType::F32, type, exact)));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::incompatible) throw;  // a value the type cannot hold
    }
  }
  return values;
}

std::optional<SharedValues> shared_values(const Manifest& manifest) {
  const FileEntry* file = manifest.find_file(kSharedFile);
  if (file == nullptr) return std::nullopt;
  SharedValues values{file->tensors.at(0).dtype, {}};
  values.digests.emplace(values.stored, file->tensor_digests.at(0));
  const Json extensions = json_of(manifest.extensions);
  const JsonObject fields(extensions, "organ.json");
  if (fields.is_null(kField)) return values;
  const JsonObject listed = fields.object(kField);
  for (const auto& [name, digest] : listed.value().items()) {
    const auto type = parse_dtype(name);
    if (!type) listed.fail_field(name, "is no element type");
    values.digests.emplace(*type, listed.digest(name));
  }
  return values;
}

void record_shared_values(const SharedValues& values, Manifest& manifest) {
  Json extensions = json_of(manifest.extensions);
  Json& listed = extensions[std::string(kField)] = Json::object();
  for (const auto& [type, digest] : values.digests) {
    listed[std::string(to_string(type))] = digest.to_string();
  }
  manifest.extensions = json_text(extensions);
}

std::optional<DType> common_type(const SharedValues& a, const SharedValues& b) {
  for (const DType type : {a.stored, b.stored}) {
    const auto left = a.digests.find(type), right = b.digests.find(type);
    if (left != a.digests.end() && right != b.digests.end() && left->second == right->second) {
      return type;
    }
  }
  return std::nullopt;
}

}  // namespace organ::format
