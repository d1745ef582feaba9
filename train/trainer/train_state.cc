// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/train_state.h"

#include <algorithm>
#include <cmath>
#include <system_error>

#include <fcntl.h>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/json.h"
#include "format/base/path_status.h"
#include "format/tensor/safetensors.h"

namespace organ::train {
namespace {

constexpr std::uint64_t kRecordLimit = std::uint64_t{1} << 20;
constexpr std::uint64_t kMaxStep = 999'999'999;

std::string stem_of(std::uint64_t step) { return fmt::format("step-{:09}", step); }

// The steps of a folder that have a record, newest first.
std::vector<std::uint64_t> saved_steps(const std::filesystem::path& folder) {
  std::vector<std::uint64_t> steps;
  for (const auto& name : list_folder(folder)) {
    if (name.size() != 19 || !name.starts_with("step-") || !name.ends_with(".json")) continue;
    const std::string digits = name.substr(5, 9);
    if (digits.find_first_not_of("0123456789") != std::string::npos) continue;
    steps.push_back(std::stoull(digits));
  }
  std::sort(steps.rbegin(), steps.rend());
  return steps;
}

Json to_json(const TrainStateRecord& record, const Digest& weights) {
  Json digests = Json::array();
  for (const auto& digest : record.data_digests) digests.push_back(digest.to_string());
  const auto real = [](const std::optional<double>& value) {
    return value ? Json(real_to_hex(*value)) : Json();
  };
  Json json = {{"schema_version", 1},
               {"step", record.step},
               {"updates", record.updates},
               {"seed", record.seed},
               {"skipped", record.skipped},
               {"skipped_in_a_row", record.skipped_in_a_row},
               {"evaluations_without_gain", record.evaluations_without_gain},
               {"best_nll", real(record.best_nll)},
               {"best_step", record.best_step},
               {"evaluated_step", record.evaluated_step},
               {"untouched_nll", real(record.untouched_nll)},
               {"milliseconds", record.milliseconds},
               {"config_digest", record.config_digest.to_string()},
               {"data_digests", digests},
               {"software", record.software},
               {"weights_digest", weights.to_string()}};
  if (!record.identity.empty()) json["identity"] = record.identity;
  // A sum that is not finite has no text; it is measured again.
  if (const auto& part = record.untouched_part; part.windows > 0 && std::isfinite(part.nll)) {
    json["untouched_part"] = {
        {"windows", part.windows}, {"nll", real_to_hex(part.nll)}, {"targets", part.targets}};
  }
  return json;
}

std::optional<double> optional_hex(const JsonObject& object, std::string_view key) {
  const auto text = object.optional_string(key);
  if (!text) return std::nullopt;
  return real_from_hex(*text, object.path());
}

void check_schema(const JsonObject& object) {
  const auto version = object.unsigned_integer("schema_version");
  if (version != 1) {
    fail(ErrorCode::unsupported_version, "{}: schema_version is {}, this organ reads 1",
         object.path(), version);
  }
  object.allow_only({"schema_version", "step", "updates", "seed", "skipped", "skipped_in_a_row",
                     "evaluations_without_gain", "best_nll", "best_step", "evaluated_step",
                     "untouched_nll", "milliseconds", "config_digest", "data_digests", "software",
                     "identity", "untouched_part", "weights_digest"});
}

// What a record of the result could not hold is found now and not behind the last step.
void require_nll(double nll, const std::string& subject) {
  if (nll >= 0 && std::isfinite(std::exp(nll))) return;
  fail(ErrorCode::corrupt, "{}: {} is no mean NLL of tokens, expected 0 to 709", subject, nll);
}

HeldOutPart part_of(const JsonObject& object) {
  object.allow_only({"windows", "nll", "targets"});
  const HeldOutPart part{object.unsigned_integer("windows"),
                         real_from_hex(object.string("nll"), object.path()),
                         object.unsigned_integer("targets")};
  if (part.windows == 0) fail(ErrorCode::corrupt, "{}.windows is 0", object.path());
  require_nll(part.targets == 0 ? part.nll : part.nll / static_cast<double>(part.targets),
              object.path() + ".nll");
  return part;
}

std::map<std::string, std::string> texts_of(const JsonObject& object) {
  std::map<std::string, std::string> texts;
  for (const auto& [key, value] : object.value().items()) texts[key] = object.string(key);
  return texts;
}

TrainStateRecord fields_of(const JsonObject& object) {
  check_schema(object);
  TrainStateRecord record;
  record.step = object.unsigned_integer("step", kMaxStep);
  record.updates = object.unsigned_integer("updates", record.step);
  record.seed = object.unsigned_integer("seed");
  record.skipped = object.unsigned_integer("skipped", record.step);
  record.skipped_in_a_row = object.unsigned_integer("skipped_in_a_row", record.skipped);
  record.evaluations_without_gain = object.unsigned_integer("evaluations_without_gain");
  record.best_nll = optional_hex(object, "best_nll");
  record.best_step = object.unsigned_integer("best_step", record.step);
  record.evaluated_step = object.unsigned_integer("evaluated_step", record.step);
  record.untouched_nll = optional_hex(object, "untouched_nll");
  if (record.untouched_nll) require_nll(*record.untouched_nll, object.path() + ": untouched_nll");
  record.milliseconds = object.unsigned_integer("milliseconds");
  record.config_digest = object.digest("config_digest");
  record.data_digests = object.digests("data_digests");
  record.software = texts_of(object.object("software"));
  if (object.has("identity")) record.identity = texts_of(object.object("identity"));
  if (object.has("untouched_part")) {
    record.untouched_part = part_of(object.object("untouched_part"));
  }
  return record;
}

std::vector<float> read_floats(const format::SafetensorsFile& file, std::string_view name) {
  const auto& tensor = file.tensor(name);
  if (tensor.dtype != format::DType::F32) {
    fail(ErrorCode::corrupt, "{}: tensor {}: dtype is {}, expected F32", file.subject(),
         quote(name), format::to_string(tensor.dtype));
  }
  std::vector<float> values(tensor.size / sizeof(float));
  file.read(tensor, std::as_writable_bytes(std::span(values)));
  return values;
}

TrainStateRecord parse_record(const std::string& text, const std::string& subject,
                              Digest& weights) {
  const Json document = parse_json(text, {.bytes = kRecordLimit}, subject);
  const JsonObject object(document, subject);
  weights = object.digest("weights_digest");
  return fields_of(object);
}

// A snapshot whose record parses and whose numbers have the digest that it says.
struct Verified {
  TrainStateRecord record;
  format::SafetensorsFile numbers;
};

Verified verify(const std::filesystem::path& folder, std::uint64_t step) {
  const auto record_path = folder / (stem_of(step) + ".json");
  const std::string subject = escape_text(record_path.string());
  Digest expected;
  TrainStateRecord record = parse_record(read_file(record_path, kRecordLimit), subject, expected);
  if (record.step != step) {
    fail(ErrorCode::corrupt, "{}: field 'step': disagrees with the file's name", subject);
  }
  const auto weights = folder / (stem_of(step) + ".safetensors");
  auto file = format::SafetensorsFile::open(weights);
  const Digest actual = hash_file_flat(file.fd(), file.subject());
  if (actual != expected) {
    fail(ErrorCode::corrupt, "{}: digest is {}, expected {}", file.subject(), actual.to_string(),
         expected.to_string());
  }
  return {std::move(record), std::move(file)};
}

TrainState load(const std::filesystem::path& folder, std::uint64_t step) {
  Verified verified = verify(folder, step);
  const format::SafetensorsFile& file = verified.numbers;
  TrainState state;
  state.record = std::move(verified.record);
  state.master = read_floats(file, "master");
  state.first_moment = read_floats(file, "first_moment");
  state.second_moment = read_floats(file, "second_moment");
  if (file.header().find("average")) state.average = read_floats(file, "average");
  if (file.header().find("best")) state.best = read_floats(file, "best");
  return state;
}

// A record's weights, or what a save that was cut off left.
bool belongs_to_states(std::string_view name) {
  return (name.starts_with("step-") && name.ends_with(".safetensors")) ||
         (name.starts_with(".step-") && name.ends_with(".tmp"));
}

// What could not be removed first, if anything.
std::error_code remove_files(const std::filesystem::path& folder,
                             const std::vector<std::string>& names) {
  std::error_code first;
  for (const auto& name : names) {
    std::error_code error;
    std::filesystem::remove(folder / name, error);
    if (!first) first = error;
  }
  if (!names.empty()) sync_folder(folder);
  return first;
}

// Records first: one without its weights could not be told from damage.
std::error_code remove_older(const std::filesystem::path& folder, std::size_t keep) {
  std::vector<std::string> records, others, kept;
  for (const std::uint64_t step : saved_steps(folder)) {
    if (kept.size() < keep) {
      kept.push_back(stem_of(step) + ".safetensors");
    } else {
      records.push_back(stem_of(step) + ".json");
    }
  }
  for (const auto& name : list_folder(folder)) {
    const bool stays = std::find(kept.begin(), kept.end(), name) != kept.end();
    if (belongs_to_states(name) && !stays) others.push_back(name);
  }
  const std::error_code error = remove_files(folder, records);
  return error ? error : remove_files(folder, others);
}

Digest write_weights(const std::filesystem::path& path, const TrainStateBuffers& buffers,
                     unsigned threads) {
  const auto source = [](std::string name, std::span<const float> values) {
    format::TensorInfo info{
        std::move(name), format::DType::F32, {values.size()}, 0, values.size_bytes()};
    return format::memory_source(std::move(info), std::as_bytes(values));
  };
  std::vector<format::TensorSource> sources = {source("master", buffers.master),
                                               source("first_moment", buffers.first_moment),
                                               source("second_moment", buffers.second_moment)};
  if (!buffers.average.empty()) sources.push_back(source("average", buffers.average));
  if (!buffers.best.empty()) sources.push_back(source("best", buffers.best));
  AtomicFile file(path);
  const auto digest = format::write_safetensors(file.fd(), sources, {{"format", "pt"}},
                                                escape_text(path.string()), Work(nullptr, threads));
  file.commit(AtomicFile::Mode::replace, buffers.permissions);
  return digest.digest;
}

}  // namespace

void require_savable(const TrainStateRecord& record) {
  Digest weights;
  try {
    (void)parse_record(pretty_json(to_json(record, {})), "train state", weights);
  } catch (const Error& error) {  // damage in what we write is a wrong argument of the caller
    throw Error(ErrorCode::invalid_argument,
                "the train states of this run could not be read again: " + error.message());
  }
}

void save_train_state(const std::filesystem::path& folder, const TrainStateRecord& record,
                      const TrainStateBuffers& buffers, unsigned threads, std::size_t keep) {
  check(record.step <= kMaxStep, "train state step within nine digits");
  create_folders(folder);
  const std::string stem = stem_of(record.step);
  const Digest weights = write_weights(folder / (stem + ".safetensors"), buffers, threads);
  write_file(folder / (stem + ".json"), pretty_json(to_json(record, weights)));
  (void)verify(folder, record.step);
  (void)remove_older(folder, keep);  // a leftover snapshot harms nothing; the next save tries again
}

void remove_train_states(const std::filesystem::path& folder) {
  const std::error_code error = remove_older(folder, 0);
  if (error) {
    fail(ErrorCode::io, "{}: removing train states failed: {}", quote(folder.string()),
         error.message());
  }
}

void require_no_train_state(const std::filesystem::path& folder) {
  if (!is_there(folder)) return;
  const auto steps = saved_steps(folder);
  if (steps.empty()) return;
  throw Error(
      ErrorCode::already_exists,
      fmt::format("{}: holds a train state of step {}", quote(folder.string()), steps.front()),
      "--resume continues it; or choose another --run-dir");
}

std::optional<TrainState> load_newest_train_state(const std::filesystem::path& folder,
                                                  std::vector<std::string>& skipped) {
  if (!is_there(folder)) return std::nullopt;
  const auto steps = saved_steps(folder);
  for (const std::uint64_t step : steps) {
    try {
      return load(folder, step);
    } catch (const Error& error) {
      skipped.push_back(fmt::format("{}: {}", stem_of(step), error.what()));
    }
  }
  if (!steps.empty()) {
    throw Error(ErrorCode::corrupt,
                fmt::format("{}: none of its {} train states can be used; newest: {}",
                            quote(folder.string()), steps.size(), skipped.front()),
                "start again with another --run-dir");
  }
  return std::nullopt;
}

}  // namespace organ::train
