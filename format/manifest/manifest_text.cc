// SPDX-License-Identifier: Apache-2.0
// Manifest to canonical JSON.
#include <chrono>
#include <cstdlib>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/manifest/evaluation_json.h"
#include "format/manifest/manifest.h"

namespace organ::format {
namespace {

template <typename T>
Json nullable(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json nullable(const std::optional<Digest>& value) {
  return value ? Json(value->to_string()) : Json(nullptr);
}

Json digest_list(const std::vector<Digest>& digests) {
  Json list = Json::array();
  for (const Digest& digest : digests) list.push_back(digest.to_string());
  return list;
}

Json to_json(const TrainingRecord::Data& data) {
  return {{"name", data.name},
          {"digest", data.digest.to_string()},
          {"tokens", data.tokens},
          {"license", nullable(data.license)}};
}

Json to_json(const TensorChange& change) {
  return {{"tensor", change.tensor},
          {"relative_rms", change.relative_rms},
          {"unchanged_fraction", change.unchanged_fraction}};
}

// Of an organ of before.
void write_hex(Json& object, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (!object[key].is_null()) object[key] = real_to_hex(object[key].get<double>());
  }
}

Json to_json(const FileEntry& file);

template <typename T>
Json list_of(const std::vector<T>& values) {
  Json list = Json::array();
  for (const T& value : values) list.push_back(to_json(value));
  return list;
}

Json to_json(const TokenizerRecord& tokenizer) {
  Json special_ids = Json::object();
  for (const auto& [name, id] : tokenizer.special_ids) special_ids[name] = id;
  return {{"digest", tokenizer.digest.to_string()}, {"special_ids", std::move(special_ids)}};
}

Json to_json(const FileEntry& file) {
  check(file.tensor_digests.size() == file.tensors.size(), "one digest per tensor");
  Json tensors = Json::array();
  for (std::size_t i = 0; i < file.tensors.size(); ++i) {
    const TensorInfo& tensor = file.tensors[i];
    tensors.push_back({{"name", tensor.name},
                       {"dtype", to_string(tensor.dtype)},
                       {"shape", tensor.shape},
                       {"digest", file.tensor_digests[i].to_string()}});
  }
  return {{"path", file.path},
          {"role", to_string(file.role)},
          {"size", file.size},
          {"digest", file.digest.to_string()},
          {"chunks", digest_list(file.chunks)},
          {"data_start", file.data_start},
          {"tensors", std::move(tensors)}};
}

std::int64_t seconds_of_creation() {
  const char* epoch = std::getenv("SOURCE_DATE_EPOCH");
  if (epoch == nullptr || *epoch == '\0') return clock_seconds();
  const std::string_view text(epoch);
  constexpr std::size_t kMostDigits = 11;  // up to the year 5138
  if (text.size() > kMostDigits || text.find_first_not_of("0123456789") != text.npos) {
    fail(ErrorCode::invalid_argument, "SOURCE_DATE_EPOCH {}: expected seconds since 1970",
         quote(text));
  }
  return std::stoll(std::string(text));
}

}  // namespace

Json to_json(const ExtractionRecord& record) {
  return {{"donor_id", record.donor_id},
          {"donor_revision", nullable(record.donor_revision)},
          {"config_digest", record.config_digest.to_string()},
          {"layer_digests", digest_list(record.layer_digests)},
          {"first_layer", record.first_layer},
          {"layer_count", record.layer_count},
          {"donor_layer_count", record.donor_layer_count}};
}

Json to_json(const TrainingRecord& record) {
  return {{"mode", record.mode},
          {"trained_tensors", record.trained_tensors},
          {"head", record.head},
          {"hyperparameters", json_of(record.hyperparameters)},
          {"seed", record.seed},
          {"data", list_of(record.data)},
          {"software", Json(record.software)},
          {"wall_milliseconds", record.wall_milliseconds},
          {"changes", list_of(record.changes)}};
}

std::string time_text(std::int64_t since_1970) {
  using namespace std::chrono;
  const sys_seconds moment{seconds{since_1970}};
  const auto day = floor<days>(moment);
  const year_month_day date(day);
  const hh_mm_ss time(moment - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     time.hours().count(), time.minutes().count(), time.seconds().count());
}

std::int64_t clock_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void add_conditions(Json& object, const Evaluation& evaluation) {
  if (!evaluation.conditions) return;
  const EvaluationConditions& conditions = *evaluation.conditions;
  object["precision"] = conditions.precision;
  object["device"] = conditions.device;
  object["lead_in"] = nullable(conditions.lead_in);
  object["chose_weights"] = conditions.chose_weights;
  if (conditions.reading) add_reading(object, *conditions.reading);
}

void add_reading(Json& object, const EvaluationReading& reading) {
  object["document_split"] = nullable(reading.document_split);
  object["padding_id"] = nullable(reading.padding_id);
  object["draw_seed"] = nullable(reading.draw_seed);
  object["first_windows"] = nullable(reading.first_windows);
}

Json to_json(const Evaluation& evaluation) {
  Json object = {{"subject", evaluation.subject},
                 {"position", nullable(evaluation.position)},
                 {"protocol", evaluation.protocol},
                 {"context", evaluation.context},
                 {"stride", evaluation.stride},
                 {"tokens", evaluation.tokens},
                 {"nll", evaluation.nll},
                 {"perplexity", evaluation.perplexity},
                 {"bits_per_byte", nullable(evaluation.bits_per_byte)},
                 {"dataset", evaluation.dataset},
                 {"dataset_digest", evaluation.dataset_digest.to_string()},
                 {"tokenizer_digest", nullable(evaluation.tokenizer_digest)}};
  add_conditions(object, evaluation);
  return object;
}

std::string Manifest::to_text() const {
  Json document = json_of(extensions);
  document["schema_version"] = kSchemaVersion;
  document["name"] = name;
  document["version"] = version;
  document["description"] = description;
  document["license"] = nullable(license);
  document["created"] = created;
  document["architecture"] = {{"model_type", architecture.model_type},
                              {"layer", json_of(architecture.layer)},
                              {"signature", architecture.signature.to_string()}};
  document["extraction"] = to_json(extraction);
  document["training"] = training ? to_json(*training) : Json(nullptr);
  document["evaluations"] = list_of(evaluations);
  document["tokenizer"] = tokenizer ? to_json(*tokenizer) : Json(nullptr);
  document["files"] = list_of(files);
  if (hex_reals) {
    for (Json& one : document["evaluations"]) {
      write_hex(one, {"nll", "perplexity", "bits_per_byte"});
    }
    if (training) {
      for (Json& one : document["training"]["changes"]) {
        write_hex(one, {"relative_rms", "unchanged_fraction"});
      }
    }
  }
  return canonical_json_with_reals(document);
}

std::string clock_time() { return time_text(clock_seconds()); }
std::string creation_time() { return time_text(seconds_of_creation()); }

}  // namespace organ::format
