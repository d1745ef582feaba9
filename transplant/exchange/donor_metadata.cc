// SPDX-License-Identifier: Apache-2.0
#include "transplant/exchange/internal/donor_metadata.h"

#include <initializer_list>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/json.h"
#include "format/base/path_status.h"

namespace organ::transplant::internal {
namespace {

constexpr std::uint64_t kLimit = std::uint64_t{1} << 20;

using Names = std::initializer_list<std::string_view>;

// The object that has one of the fields, as a value that `fits`: the document, else the one object
// in it that does. Where several do, nobody can know which of them is meant.
struct Field {
  const Json* object;
  std::string path;
  std::string_view name;
};
using Fits = bool (*)(const Json& value);

std::optional<Field> find_field(const Json& document, const std::string& subject, Names names,
                                Fits fits) {
  const auto look = [&](const Json& object, const std::string& path) -> std::optional<Field> {
    for (const std::string_view name : names) {
      const auto found = object.find(name);
      if (found != object.end() && fits(*found)) return Field{&object, path, name};
    }
    return std::nullopt;
  };
  if (auto found = look(document, subject)) return found;
  std::optional<Field> only;
  for (const auto& [key, value] : document.items()) {
    if (!value.is_object()) continue;
    auto found = look(value, subject + ": " + quote(key));
    if (!found) continue;
    if (only) return std::nullopt;
    only = std::move(found);
  }
  return only;
}

std::optional<std::string> text_field(const Json& document, const std::string& subject,
                                      Names names) {
  const auto field =
      find_field(document, subject, names, [](const Json& value) { return value.is_string(); });
  if (!field) return std::nullopt;
  return JsonObject(*field->object, field->path).string(field->name);
}

std::optional<std::uint64_t> number_field(const Json& document, const std::string& subject,
                                          Names names) {
  const auto field =
      find_field(document, subject, names, [](const Json& value) { return value.is_number(); });
  if (!field) return std::nullopt;
  return JsonObject(*field->object, field->path).unsigned_integer(field->name);
}

// A list of layers of the donor, each behind the one before.
void read_layers(const Json& document, const std::string& subject, DonorMetadata& metadata) {
  const auto field = find_field(document, subject,
                                {"layer_indices", "donor_layer_indices", "donor_layers", "layers",
                                 "layer_ids", "extracted_layers"},
                                [](const Json& value) { return value.is_array(); });
  if (!field) return;
  const JsonObject object(*field->object, field->path);
  const auto layers = object.unsigned_integers(field->name);
  if (layers.empty()) object.fail_field(field->name, "names no layer");
  for (std::size_t i = 1; i < layers.size(); ++i) {
    if (layers[i] == layers[0] + i) continue;
    object.fail_field(field->name,
                      fmt::format("layer {} follows layer {}, an organ is a run of layers",
                                  layers[i], layers[i - 1]));
  }
  metadata.first_layer = layers.front();
  metadata.layer_count = layers.size();
}

}  // namespace

DonorMetadata read_donor_metadata(const std::filesystem::path& folder) {
  const auto path = folder / kDonorMetadataFile;
  if (!is_there(path)) return {};
  return parse_donor_metadata(read_file(path, kLimit), path.string());
}

DonorMetadata parse_donor_metadata(std::string_view text, const std::string& path) {
  DonorMetadata metadata;
  metadata.digest = sha256(text);
  JsonLimits limits;
  limits.bytes = kLimit;
  limits.foreign = true;
  const Json document = parse_json(text, limits, path);
  const std::string subject = quote(path);
  [[maybe_unused]] const JsonObject whole(document, subject);  // an object, or an error
  read_layers(document, subject, metadata);
  if (!metadata.first_layer) {
    metadata.first_layer = number_field(
        document, subject, {"first_layer", "start_layer", "layer_start", "start_layer_idx"});
  }
  metadata.donor_layer_count = number_field(document, subject, {"donor_layer_count"});
  metadata.donor = text_field(
      document, subject,
      {"donor_id", "donor_model", "source_model", "base_model", "model_name", "model_id"});
  metadata.donor_revision = text_field(document, subject, {"donor_revision"});
  const auto organ = document.find("organ");
  if (organ == document.end() || !organ->is_object()) return metadata;
  const JsonObject own(*organ, subject + ": 'organ'");
  metadata.name = own.optional_string("name");
  metadata.version = own.optional_string("version");
  metadata.description = own.optional_string("description");
  metadata.license = own.optional_string("license");
  if (own.optional_string("architecture_signature")) {
    metadata.architecture_signature = own.digest("architecture_signature");
  }
  return metadata;
}

std::string donor_metadata_text(const format::Manifest& organ) {
  const format::ExtractionRecord& from = organ.extraction;
  Json layers = Json::array();
  for (std::uint64_t i = 0; i < from.layer_count; ++i) layers.push_back(from.first_layer + i);
  const auto optional = [](const std::optional<std::string>& text) {
    return text ? Json(*text) : Json();
  };
  Json document = {{"schema_version", 1},
                   {"model_type", organ.architecture.model_type},
                   {"donor_id", from.donor_id},
                   {"donor_revision", optional(from.donor_revision)},
                   {"donor_layer_count", from.donor_layer_count},
                   {"layer_indices", std::move(layers)}};
  document["organ"] = {{"name", organ.name},
                       {"version", organ.version},
                       {"description", organ.description},
                       {"license", optional(organ.license)},
                       {"architecture_signature", organ.architecture.signature.to_string()}};
  return pretty_json(document);
}

}  // namespace organ::transplant::internal
