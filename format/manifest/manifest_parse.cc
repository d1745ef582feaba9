// SPDX-License-Identifier: Apache-2.0
// organ.json to Manifest: types first, then the rules of manifest_checks.
#include <algorithm>
#include <array>
#include <initializer_list>
#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/manifest/evaluation_json.h"
#include "format/manifest/internal/manifest_checks.h"
#include "format/manifest/manifest.h"

namespace organ::format {
namespace {

constexpr std::array<std::string_view, 12> kTopLevel = {
    "architecture", "created", "description",    "evaluations", "extraction", "files",
    "license",      "name",    "schema_version", "tokenizer",   "training",   "version"};

// Exactly these keys: a missing one and an unknown one are both refused.
void require_keys(const JsonObject& object, std::initializer_list<std::string_view> keys) {
  object.allow_only(keys);
  for (const std::string_view key : keys) {
    if (!object.has(key)) object.fail_field(key, "is missing");
  }
}

std::optional<Digest> read_optional_digest(const JsonObject& object, std::string_view key) {
  if (object.is_null(key)) return std::nullopt;
  return object.digest(key);
}

// A number; in an organ of before a hex float string. The manifest has all of one kind, or its text
// is not canonical.
double read_real(const JsonObject& object, std::string_view key) {
  if (!object.at(key).is_string()) return object.real(key);
  const std::string text = object.string(key);
  try {
    return real_from_hex(text, key);
  } catch (const Error&) {
    object.fail_field(key, "expected a number or a C99 hex float string, got " + quote(text));
  }
}

std::optional<double> read_optional_real(const JsonObject& object, std::string_view key) {
  if (object.is_null(key)) return std::nullopt;
  return read_real(object, key);
}

ArchitectureRecord read_architecture(const JsonObject& object) {
  require_keys(object, {"layer", "model_type", "signature"});
  const Json& layer = object.object("layer").value();
  if (holds_real(layer))
    object.fail_field("layer", "holds a real number that is no hex float string");
  return {object.string("model_type"), json_text_without_reals(layer), object.digest("signature")};
}

ExtractionRecord read_extraction(const JsonObject& object) {
  require_keys(object, {"config_digest", "donor_id", "donor_layer_count", "donor_revision",
                        "first_layer", "layer_count", "layer_digests"});
  ExtractionRecord record;
  record.donor_id = object.string("donor_id");
  record.donor_revision = object.optional_string("donor_revision");
  record.config_digest = object.digest("config_digest");
  record.layer_digests = object.digests("layer_digests");
  record.first_layer = object.unsigned_integer("first_layer");
  record.layer_count = object.unsigned_integer("layer_count");
  record.donor_layer_count = object.unsigned_integer("donor_layer_count");
  return record;
}

TrainingRecord::Data read_data(const JsonObject& object) {
  require_keys(object, {"digest", "license", "name", "tokens"});
  return {object.string("name"), object.digest("digest"), object.unsigned_integer("tokens"),
          object.optional_string("license")};
}

TensorChange read_change(const JsonObject& object) {
  require_keys(object, {"relative_rms", "tensor", "unchanged_fraction"});
  return {object.string("tensor"), read_real(object, "relative_rms"),
          read_real(object, "unchanged_fraction")};
}

TrainingRecord read_training(const JsonObject& object) {
  require_keys(object, {"changes", "data", "head", "hyperparameters", "mode", "seed", "software",
                        "trained_tensors", "wall_milliseconds"});
  TrainingRecord record;
  record.mode = object.string("mode");
  record.trained_tensors = object.strings("trained_tensors");
  record.head = object.string("head");
  record.hyperparameters = json_text(object.object("hyperparameters").value());
  record.seed = object.unsigned_integer("seed", std::numeric_limits<std::uint64_t>::max());
  for (const JsonObject& data : object.objects("data")) record.data.push_back(read_data(data));
  const JsonObject software = object.object("software");
  for (const auto& item : software.value().items()) {
    record.software.emplace(item.key(), software.string(item.key()));
  }
  record.wall_milliseconds = object.unsigned_integer("wall_milliseconds");
  for (const JsonObject& change : object.objects("changes")) {
    record.changes.push_back(read_change(change));
  }
  return record;
}

bool has_all_or_none(const JsonObject& object, std::initializer_list<std::string_view> keys) {
  const auto has = [&](std::string_view key) { return object.has(key); };
  if (std::none_of(keys.begin(), keys.end(), has)) return false;
  for (const std::string_view key : keys) {
    if (!object.has(key)) object.fail_field(key, "is missing beside the others of its kind");
  }
  return true;
}

// nullopt: an organ of before.
std::optional<EvaluationConditions> read_conditions(const JsonObject& object) {
  auto reading = read_reading(object);
  if (!has_all_or_none(object, {"chose_weights", "device", "lead_in", "precision"})) {
    if (reading) object.fail_field("precision", "is missing beside what decides the figure too");
    return std::nullopt;
  }
  EvaluationConditions conditions;
  conditions.reading = std::move(reading);
  conditions.precision = object.string("precision");
  conditions.device = object.string("device");
  if (!object.is_null("lead_in")) conditions.lead_in = object.unsigned_integers("lead_in");
  conditions.chose_weights = object.boolean("chose_weights");
  return conditions;
}

Evaluation read_evaluation(const JsonObject& object) {
  constexpr std::string_view kAlways[] = {
      "bits_per_byte", "context", "dataset", "dataset_digest",   "nll",   "perplexity", "position",
      "protocol",      "stride",  "subject", "tokenizer_digest", "tokens"};
  object.allow_only(
      {"bits_per_byte", "chose_weights",  "context",    "dataset",          "dataset_digest",
       "device",        "document_split", "draw_seed",  "first_windows",    "lead_in",
       "nll",           "padding_id",     "perplexity", "position",         "precision",
       "protocol",      "stride",         "subject",    "tokenizer_digest", "tokens"});
  for (const std::string_view key : kAlways) {
    if (!object.has(key)) object.fail_field(key, "is missing");
  }
  Evaluation evaluation;
  evaluation.subject = object.string("subject");
  evaluation.position = object.optional_unsigned("position");
  evaluation.protocol = object.string("protocol");
  evaluation.context = object.unsigned_integer("context");
  evaluation.stride = object.unsigned_integer("stride");
  evaluation.tokens = object.unsigned_integer("tokens");
  evaluation.nll = read_real(object, "nll");
  evaluation.perplexity = read_real(object, "perplexity");
  evaluation.bits_per_byte = read_optional_real(object, "bits_per_byte");
  evaluation.dataset = object.string("dataset");
  evaluation.dataset_digest = object.digest("dataset_digest");
  evaluation.tokenizer_digest = read_optional_digest(object, "tokenizer_digest");
  evaluation.conditions = read_conditions(object);
  return evaluation;
}

TokenizerRecord read_tokenizer(const JsonObject& object) {
  require_keys(object, {"digest", "special_ids"});
  TokenizerRecord record;
  record.digest = object.digest("digest");
  const JsonObject special_ids = object.object("special_ids");
  for (const auto& item : special_ids.value().items()) {
    record.special_ids.emplace_back(item.key(), special_ids.unsigned_integer(item.key()));
  }
  return record;
}

// Offsets and sizes are not stored: tensors tile the data section in file order.
void read_tensors(const JsonObject& object, FileEntry& file) {
  std::uint64_t offset = 0;
  for (const JsonObject& item : object.objects("tensors")) {
    require_keys(item, {"digest", "dtype", "name", "shape"});
    TensorInfo tensor;
    tensor.name = item.string("name");
    const std::string dtype = item.string("dtype");
    const auto parsed = parse_dtype(dtype);
    if (!parsed) item.fail_field("dtype", "unknown dtype " + quote(dtype));
    tensor.dtype = *parsed;
    tensor.shape = item.unsigned_integers("shape");
    tensor.size = byte_size(tensor.dtype, tensor.shape, item.path() + ": field 'shape'");
    tensor.offset = offset;
    offset = checked_add(offset, tensor.size, item.path() + ": end of the tensor");
    file.tensors.push_back(std::move(tensor));
    file.tensor_digests.push_back(item.digest("digest"));
  }
}

FileEntry read_file_entry(const JsonObject& object) {
  require_keys(object, {"chunks", "data_start", "digest", "path", "role", "size", "tensors"});
  FileEntry file;
  file.path = object.string("path");
  const std::string role = object.string("role");
  const auto parsed = parse_file_role(role);
  if (!parsed)
    object.fail_field("role", "expected layer, shared, head, bridge or card, got " + quote(role));
  file.role = *parsed;
  file.size = object.unsigned_integer("size");
  file.digest = object.digest("digest");
  file.chunks = object.digests("chunks");
  file.data_start = object.unsigned_integer("data_start");
  read_tensors(object, file);
  return file;
}

// Comes before everything else, so that a newer document gets the right message.
void check_schema_version(const JsonObject& root, std::string_view subject) {
  const std::uint64_t found = root.unsigned_integer("schema_version");
  if (found == 0) root.fail_field("schema_version", "expected 1, got 0");
  if (found > kSchemaVersion) {
    throw Error(ErrorCode::unsupported_version,
                fmt::format("{}: needs an organ that reads schema version {}, this one reads {}",
                            quote(subject), found, kSchemaVersion),
                "install a newer organ");
  }
}

JsonText read_extensions(const JsonObject& root, std::string_view subject) {
  Json extensions = Json::object();
  for (const auto& [key, value] : root.value().items()) {
    if (std::find(kTopLevel.begin(), kTopLevel.end(), key) != kTopLevel.end()) continue;
    if (key.starts_with("critical_")) {
      throw Error(
          ErrorCode::unsupported_version,
          fmt::format("{}: critical field {} is unknown to this organ", quote(subject), quote(key)),
          "install a newer organ");
    }
    extensions[key] = value;
  }
  return json_text(extensions);
}

// By the first real there is.
bool has_hex_reals(const JsonObject& root) {
  for (const JsonObject& one : root.objects("evaluations")) return one.at("nll").is_string();
  if (root.is_null("training")) return false;
  for (const JsonObject& one : root.object("training").objects("changes")) {
    return one.at("relative_rms").is_string();
  }
  return false;
}

// The signature covers bytes, so one meaning has one text.
void check_canonical(const Manifest& manifest, std::string_view text, std::string_view subject) {
  const std::string canonical = manifest.to_text();
  if (canonical == text) return;
  const auto difference =
      std::mismatch(canonical.begin(), canonical.end(), text.begin(), text.end());
  throw Error(ErrorCode::corrupt,
              fmt::format("{}: not canonical JSON from byte {} on", quote(subject),
                          difference.second - text.begin()),
              "keys sorted, no white space, reals as RFC 8785 writes them");
}

}  // namespace

std::vector<Evaluation> checked_evaluations(const JsonObject& object) {
  std::vector<Evaluation> evaluations;
  for (const JsonObject& item : object.objects("evaluations")) {
    evaluations.push_back(read_evaluation(item));
    internal::check_evaluation(evaluations.back(), object.path());
  }
  return evaluations;
}

ExtractionRecord checked_extraction(const JsonObject& object) {
  ExtractionRecord record = read_extraction(object.object("extraction"));
  internal::check_extraction(record, object.path());
  return record;
}

TrainingRecord checked_training(const JsonObject& object) {
  TrainingRecord record = read_training(object.object("training"));
  internal::check_training(record, object.path());
  return record;
}

std::optional<EvaluationReading> read_reading(const JsonObject& object) {
  if (!has_all_or_none(object, {"document_split", "draw_seed", "first_windows", "padding_id"})) {
    return std::nullopt;
  }
  return EvaluationReading{.document_split = object.optional_string("document_split"),
                           .padding_id = object.optional_unsigned("padding_id"),
                           .draw_seed = object.optional_unsigned("draw_seed"),
                           .first_windows = object.optional_unsigned("first_windows")};
}

Manifest Manifest::parse(std::string_view text, std::string_view subject) {
  JsonLimits limits;
  limits.bytes = kManifestLimit;
  limits.reals = true;
  limits.long_integers = true;
  const Json document = parse_json(text, limits, subject);
  const JsonObject root(document, std::string(subject));
  check_schema_version(root, subject);
  Manifest manifest;
  manifest.extensions = read_extensions(root, subject);
  for (const std::string_view key : kTopLevel) {
    if (!root.has(key)) root.fail_field(key, "is missing");
  }
  manifest.name = root.string("name");
  manifest.version = root.string("version");
  manifest.description = root.string("description");
  manifest.license = root.optional_string("license");
  manifest.created = root.string("created");
  manifest.architecture = read_architecture(root.object("architecture"));
  manifest.extraction = read_extraction(root.object("extraction"));
  if (!root.is_null("training")) manifest.training = read_training(root.object("training"));
  for (const JsonObject& item : root.objects("evaluations")) {
    manifest.evaluations.push_back(read_evaluation(item));
  }
  if (!root.is_null("tokenizer")) manifest.tokenizer = read_tokenizer(root.object("tokenizer"));
  for (const JsonObject& item : root.objects("files")) {
    manifest.files.push_back(read_file_entry(item));
  }
  manifest.hex_reals = has_hex_reals(root);
  internal::check_manifest(manifest, subject);
  check_canonical(manifest, text, subject);
  return manifest;
}

}  // namespace organ::format
