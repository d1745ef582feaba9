// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/internal/run_identity.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <span>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "train/data/token_stream.h"

namespace organ::train {
namespace {

struct Axis {
  std::string_view name, kind, words;
};

// Causes before what follows from them. Axes of no name here are settings and come first.
constexpr Axis kAxes[] = {
    {"device", "device", "device"},
    {"stack", "model", "stack"},
    {"config", "model", "config.json"},
    {"weights", "model", "tensors"},
    {"tokenizer", "tokenizer", "tokenizer"},
    {"training_lead_in", "data", "lead-in of the training data"},
    {"training_end_of_sequence", "data", "end-of-sequence id behind the training documents"},
    {"training_padding_id", "data", "padding id of the training data"},
    {"training_files", "data", "files of the training data"},
    {"training_documents", "data", "document starts of the training data"},
    {"training_tokens", "data", "tokens of the training data"},
    {"held_out_lead_in", "data", "lead-in of the held-out data"},
    {"held_out_end_of_sequence", "data", "end-of-sequence id behind the held-out documents"},
    {"held_out_padding_id", "data", "padding id of the held-out data"},
    {"held_out_files", "data", "files of the held-out data"},
    {"held_out_documents", "data", "document starts of the held-out data"},
    {"held_out_tokens", "data", "tokens of the held-out data"},
    {"steps", "settings", "steps"},  // may follow from the data
};

const Axis* find_axis(std::string_view name) {
  const auto found = std::find_if(std::begin(kAxes), std::end(kAxes),
                                  [&](const Axis& axis) { return axis.name == name; });
  return found == std::end(kAxes) ? nullptr : found;
}

void add_settings(const TrainInputs& inputs, RunIdentity& identity) {
  const TrainSettings& settings = inputs.settings;
  Json recorded = json_of(setting_texts(settings, inputs.data.training));
  for (const char* of_data : {"lead_in", "end_of_sequence", "document_split", "padding_id"}) {
    recorded.erase(of_data);
  }
  for (const auto& [name, value] : recorded.items()) {
    identity[name] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  identity["mode"] = to_string(settings.mode);
  identity["first_layer"] = std::to_string(settings.layers.first);
  identity["layer_count"] = std::to_string(settings.layers.count);
  identity["seed"] = std::to_string(settings.seed);
  if (!settings.method.empty()) identity["method"] = settings.method;
}

// What decides the windows of a data set, with the settings.
void add_data(const std::string& which, const TokenStream& stream, RunIdentity& identity) {
  const auto add = [&](std::string_view axis, std::string value) {
    identity[fmt::format("{}_{}", which, axis)] = std::move(value);
  };
  std::string lead_in;
  for (const std::int32_t id : stream.lead_in()) {
    if (!lead_in.empty()) lead_in += ' ';
    lead_in += std::to_string(id);
  }
  if (!lead_in.empty()) add("lead_in", std::move(lead_in));
  if (const auto id = stream.end_of_sequence()) add("end_of_sequence", std::to_string(*id));
  if (const auto id = stream.padding_id()) add("padding_id", std::to_string(*id));
  add("files", stream.digest().to_string());
  add("documents", sha256(std::as_bytes(stream.document_starts())).to_string());
  add("tokens", sha256(std::as_bytes(stream.ids())).to_string());
}

// Of data that hides or drops tokens. Organs that had no choice drew once and recorded nothing.
constexpr std::string_view kDrawAxis = "draw";

std::string value_of(const RunIdentity& identity, std::string_view axis) {
  const auto found = identity.find(std::string(axis));
  if (found != identity.end()) return found->second;
  return std::string(axis == kDrawAxis ? to_string(TaskDraw::once) : "none");
}

// Reals are hex floats.
std::string shown(const std::string& value) {
  const bool hex = value.starts_with("0x") || value.starts_with("-0x");
  return hex ? fmt::format("{}", real_from_hex(value, "identity")) : escape_text(value, 160);
}

[[noreturn]] void refuse(std::string_view kind, std::string_view words, std::uint64_t step,
                         std::string_view got, std::string_view expected) {
  throw Error(ErrorCode::invalid_argument,
              fmt::format("--resume: other {} than the train state of step {}: {}: got {}, "
                          "expected {}",
                          kind, step, words, got, expected),
              "repeat the options and files of the first start, or choose another --run-dir");
}

}  // namespace

RunIdentity run_identity(const TrainInputs& inputs, const Digest& weights,
                         std::string_view device) {
  RunIdentity identity;
  add_settings(inputs, identity);
  identity[std::string(kDeviceAxis)] = device;
  const format::Checkpoint& checkpoint = inputs.checkpoint;
  if (const auto stack = checkpoint.architecture().stack(); !stack.empty()) {
    identity["stack"] = stack;
  }
  identity["config"] = checkpoint.config_digest().to_string();
  identity["weights"] = weights.to_string();
  if (inputs.data.tokenizer) identity["tokenizer"] = inputs.data.tokenizer->to_string();
  add_data("training", inputs.data.training.stream(), identity);
  if (const Dataset* data = inputs.held_out()) add_data("held_out", data->stream(), identity);
  return identity;
}

void require_same_run(const RunIdentity& saved, const RunIdentity& current, std::uint64_t step) {
  const auto compare = [&](const std::string& name, std::string_view kind, std::string_view words) {
    const std::string got = value_of(current, name), expected = value_of(saved, name);
    if (got != expected) refuse(kind, words, step, shown(got), shown(expected));
  };
  std::set<std::string> names;
  for (const RunIdentity* identity : {&saved, &current}) {
    for (const auto& [name, text] : *identity) names.insert(name);
  }
  for (const std::string& name : names) {
    if (find_axis(name) == nullptr) compare(name, "settings", escape_text(name));
  }
  for (const Axis& axis : kAxes) compare(std::string(axis.name), axis.kind, axis.words);
}

std::string require_same_older_run(const TrainStateRecord& saved, const TrainStateRecord& current,
                                   const TrainSettings& settings, bool held_out) {
  const auto compare = [&](std::string_view kind, std::string_view words, const std::string& got,
                           const std::string& expected) {
    if (got != expected) refuse(kind, words, saved.step, got, expected);
  };
  if (settings.ema > 0) {
    refuse("settings", "moving average", saved.step, "one with a warm-up",
           "one without, which organ no longer makes");
  }
  const std::string draw = value_of(current.identity, kDrawAxis);
  compare("settings", kDrawAxis, draw, std::string(to_string(TaskDraw::once)));
  compare("settings or another model", "digest of both", current.config_digest.to_string(),
          saved.config_digest.to_string());
  compare("data", "files of the training data", digest_of_files(current.data_digests).to_string(),
          digest_of_files(saved.data_digests).to_string());
  // Before the first step it may not have been measured yet.
  if (saved.step > 0) {
    compare("data", "held-out data", held_out ? "some" : "none",
            saved.untouched_nll ? "some" : "none");
  }
  return fmt::format(
      "the train state of step {} was made by an older organ: that tensors, tokenizer, documents, "
      "padding id, {}device and --patience are those of its start cannot be checked",
      saved.step, held_out ? "held-out data, " : "");
}

Digest common_digest(const RunIdentity& identity) {
  Sha256Hasher hasher;
  for (const auto& [name, value] : identity) {
    if (name != kDeviceAxis) hasher.update(fmt::format("{} {}\n", name, value));
  }
  return hasher.finish();
}

}  // namespace organ::train
