// SPDX-License-Identifier: Apache-2.0
#include "format/manifest/bom.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"

namespace organ::format {
namespace {

constexpr std::size_t kLongestText = 4096;
constexpr char kModel[] = "machine-learning-model";
constexpr char kDonorRef[] = "donor";

std::string shown(const std::string& text) { return escape_text(text, kLongestText); }

Json hashes(const Digest& digest) {
  return Json::array({Json::object({{"alg", "SHA-256"}, {"content", digest.hex()}})});
}

Json property(const char* name, std::string value) {
  return {{"name", name}, {"value", std::move(value)}};
}

// SPDX identifiers that licences of models and texts have most often: the document's schema takes
// none that it does not know. What stands for more than one, or for none, is told as a name.
constexpr std::string_view kLicenses[] = {
    "0BSD",
    "AFL-3.0",
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC-BY-2.0",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-NC-4.0",
    "CC-BY-NC-ND-4.0",
    "CC-BY-NC-SA-4.0",
    "CC-BY-ND-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "EPL-2.0",
    "EUPL-1.2",
    "GPL-2.0-only",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "ISC",
    "LGPL-3.0-only",
    "MIT",
    "MPL-2.0",
    "ODbL-1.0",
    "PDDL-1.0",
    "Unlicense",
};

void add_license(const std::optional<std::string>& license, Json& component) {
  if (!license || license->empty()) return;
  const bool known = std::ranges::find(kLicenses, *license) != std::end(kLicenses);
  component["licenses"] = Json::array({{{"license", {{known ? "id" : "name", shown(*license)}}}}});
}

std::string data_ref(const Digest& digest) { return "data:" + digest.to_string(); }

// By digest: what training and figures read, each once.
std::map<Digest, Json> data_components(const Manifest& organ) {
  std::map<Digest, Json> all;
  const auto add = [&](const std::string& name, const Digest& digest) -> Json& {
    Json component = {
        {"type", "data"},
        {"bom-ref", data_ref(digest)},
        {"name", shown(name)},
        {"properties", Json::array({property("organ:dataset_digest", digest.to_string())})},
        {"data", Json::array({Json::object({{"type", "dataset"}})})}};
    return all.try_emplace(digest, std::move(component)).first->second;
  };
  if (organ.training) {
    for (const TrainingRecord::Data& data : organ.training->data) {
      add_license(data.license, add(data.name, data.digest));
    }
  }
  for (const Evaluation& one : organ.evaluations) add(one.dataset, one.dataset_digest);
  return all;
}

Json donor_component(const ExtractionRecord& extraction) {
  Json donor = {{"type", kModel}, {"name", shown(extraction.donor_id)}};
  if (extraction.donor_revision) donor["version"] = shown(*extraction.donor_revision);
  donor["properties"] =
      Json::array({property("organ:config_digest", extraction.config_digest.to_string())});
  return donor;
}

// Which figure of which data it is, so that nobody takes one for another.
std::string slice_of(const Evaluation& one) {
  std::string text = fmt::format("{} {}", one.protocol, one.subject);
  if (one.position) text += fmt::format(" at layer {}", *one.position);
  text += fmt::format(" on {} ({}), {}, context {}, stride {}", one.dataset,
                      one.dataset_digest.to_string(), counted(one.tokens, "token"), one.context,
                      one.stride);
  if (one.conditions) text += ", " + label_text(*one.conditions);
  return shown(text);
}

Json metrics(const Manifest& organ) {
  Json all = Json::array();
  for (const Evaluation& one : organ.evaluations) {
    const auto add = [&](const char* type, double value) {
      all.push_back({{"type", type},
                     {"value", canonical_json_with_reals(Json(value))},
                     {"slice", slice_of(one)}});
    };
    add("negative log-likelihood per token", one.nll);
    add("perplexity", one.perplexity);
    if (one.bits_per_byte) add("bits per byte", *one.bits_per_byte);
  }
  return all;
}

Json model_card(const Manifest& organ) {
  Json parameters = {{"architectureFamily", shown(organ.architecture.model_type)},
                     {"modelArchitecture", organ.architecture.signature.to_string()}};
  if (organ.training) {
    for (const TrainingRecord::Data& data : organ.training->data) {
      const Json reference = {{"ref", data_ref(data.digest)}};
      Json& datasets = parameters["datasets"];
      if (std::find(datasets.begin(), datasets.end(), reference) == datasets.end()) {
        datasets.push_back(reference);
      }
    }
  }
  Json card = {{"modelParameters", std::move(parameters)}};
  if (!organ.evaluations.empty()) {
    card["quantitativeAnalysis"] = {{"performanceMetrics", metrics(organ)}};
  }
  return card;
}

Json organ_component(const Manifest& organ, const Digest& identity) {
  Json component = {{"type", kModel},
                    {"bom-ref", identity.to_string()},
                    {"name", organ.name},
                    {"version", organ.version},
                    {"hashes", hashes(identity)},
                    {"modelCard", model_card(organ)}};
  if (!organ.description.empty()) component["description"] = shown(organ.description);
  add_license(organ.license, component);
  component["pedigree"] = {{"ancestors", Json::array({donor_component(organ.extraction)})}};
  const std::uint64_t first = organ.extraction.first_layer;
  component["properties"] = Json::array(
      {property("organ:layers", fmt::format("{}:{}/{}", first, first + organ.layer_count(),
                                            organ.extraction.donor_layer_count))});
  for (const FileEntry& file : organ.files) {
    component["components"].push_back(
        {{"type", "file"}, {"name", shown(file.path)}, {"hashes", hashes(file.digest)}});
  }
  return component;
}

}  // namespace

std::string ml_bom(const Manifest& organ, const Digest& identity) {
  Json donor = donor_component(organ.extraction);
  donor["bom-ref"] = kDonorRef;
  Json components = Json::array({std::move(donor)}), needed = Json::array({kDonorRef});
  for (auto& [digest, component] : data_components(organ)) {
    components.push_back(std::move(component));
    needed.push_back(data_ref(digest));
  }
  const Json tool = {{"type", "application"}, {"name", "organ"}};
  const Json bom = {
      {"$schema", "http://cyclonedx.org/schema/bom-1.6.schema.json"},
      {"bomFormat", "CycloneDX"},
      {"specVersion", "1.6"},
      {"version", 1},
      {"metadata",
       {{"timestamp", organ.created},
        {"tools", {{"components", Json::array({tool})}}},
        {"component", organ_component(organ, identity)}}},
      {"components", std::move(components)},
      {"dependencies", Json::array({Json::object(
                           {{"ref", identity.to_string()}, {"dependsOn", std::move(needed)}})})}};
  return pretty_json(bom);
}

}  // namespace organ::format
