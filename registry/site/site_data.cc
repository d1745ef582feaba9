// SPDX-License-Identifier: Apache-2.0
#include "registry/site/internal/site_data.h"

#include <algorithm>
#include <map>
#include <optional>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/manifest/reference.h"

namespace organ::registry {
namespace {

// A page of thousands of versions stays one that a browser opens; organ show has all of it.
constexpr std::size_t kLongestText = 600;

std::string shown(std::string_view text) { return escape_text(text, kLongestText); }

Json shown_or_null(const std::optional<std::string>& text) {
  return text ? Json(shown(*text)) : Json();
}

Json shown_or_null(const std::optional<Takedown>& takedown) {
  if (!takedown) return Json();
  return {{"time", shown(takedown->time)}, {"reason", shown(takedown->reason)}};
}

Json shown_list(const std::vector<std::string>& texts) {
  Json list = Json::array();
  for (const std::string& text : texts) list.push_back(shown(text));
  return list;
}

Json shown_list(const std::vector<format::Finding>& findings) {
  Json list = Json::array();
  for (const format::Finding& finding : findings) {
    list.push_back(shown(finding.subject + ": " + finding.message));
  }
  return list;
}

// Values that many versions share, each once; a version has its place.
class Shared {
 public:
  std::size_t place_of(const std::string& key, const Json& value) {
    const auto [found, is_new] = places_.emplace(key, list_.size());
    if (is_new) list_.push_back(value);
    return found->second;
  }
  const Json& list() const { return list_; }

 private:
  std::map<std::string, std::size_t> places_;
  Json list_ = Json::array();
};

// Signed fields hold reals as hex floats, which the page compares as numbers.
Json with_numbers(const Json& value) {
  if (value.is_string()) {
    const std::string text = value.get<std::string>();
    return text.starts_with("0x") ? Json(real_from_hex(text, "architecture")) : value;
  }
  if (!value.is_structured()) return value;
  Json copy = value;
  for (Json& part : copy) part = with_numbers(part);
  return copy;
}

std::string label_of(const format::Evaluation& evaluation) {
  const auto& tokenizer = evaluation.tokenizer_digest;
  std::string label =
      fmt::format("{}, ctx={}, stride={}, tok={}", shown(evaluation.protocol), evaluation.context,
                  evaluation.stride, tokenizer ? tokenizer->hex().substr(0, 12) : "none");
  if (evaluation.conditions) label += ", " + format::label_text(*evaluation.conditions);
  return label;
}

class Collector {
 public:
  Collector(const Registry& registry, SiteResult& result) : registry_(registry), result_(result) {}

  void add(const VersionInfo& listed) {
    Json& out = versions_.emplace_back(plain(listed));
    ++result_.versions;
    try {
      // Withdrawals, aliases and the row itself as the log says, whatever the catalog does.
      const ResolvedVersion version =
          registry_.resolve(format::Reference::parse(listed.name + ":" + listed.version));
      out = plain(version);
      const auto organ = registry_.open_organ(version);
      // Whoever could not read them all knows too little for a page.
      static_cast<void>(organ->signature_bundles());
      static_cast<void>(organ->attestation_bundles());
      add_manifest(organ->manifest(), out);
      add_trust(registry_.evaluate(version, *organ), out);
    } catch (const Error& error) {
      const ErrorCode code = error.code();
      if (code == ErrorCode::cancelled || code == ErrorCode::io || code == ErrorCode::conflict) {
        throw;
      }
      out["damage"] = shown(error.what());
      ++result_.damaged;
    }
  }

  Json take() {
    return {{"architectures", architectures_.list()},
            {"measurements", measurements_.list()},
            {"keys", keys_.list()},
            {"versions", std::move(versions_)}};
  }

 private:
  static Json plain(const VersionInfo& version) {
    return {{"name", shown(version.name)},
            {"version", shown(version.version)},
            {"digest", version.digest.to_string()},
            {"published", shown(version.published)},
            {"log_index", version.log_index},
            {"description", shown(version.description)},
            {"license", shown_or_null(version.license)},
            {"family", shown(version.model_type)},
            {"first_layer", version.first_layer},
            {"layer_count", version.layer_count},
            {"donor_layer_count", version.donor_layer_count},
            {"donor", shown(version.donor_id)},
            {"bytes", version.bytes},
            {"yanked", shown_or_null(version.yank_reason)},
            {"revoked", shown_or_null(version.revoke_reason)},
            {"taken_down", shown_or_null(version.taken_down)},
            {"superseded_by", version.superseded ? Json(shown(version.superseded->by)) : Json()},
            {"superseded_reason",
             version.superseded ? Json(shown(version.superseded->reason)) : Json()},
            {"aliases", shown_list(version.aliases)},
            {"architecture", nullptr},
            {"opaque", false},
            {"bridge", false},
            {"trained", nullptr},
            {"evaluations", Json::array()},
            {"trust",
             {{"trusted", false},
              {"keys", Json::array()},
              {"refusals", Json::array()},
              {"warnings", Json::array()}}},
            {"damage", nullptr}};
  }

  void add_manifest(const format::Manifest& organ, Json& out) {
    const Json fields = json_of(organ.architecture.layer);
    const bool opaque = fields.contains("maths");
    const std::string signature = organ.architecture.signature.to_string();
    out["architecture"] = architectures_.place_of(
        signature, {{"signature", signature}, {"fields", opaque ? Json() : with_numbers(fields)}});
    out["opaque"] = opaque;
    out["bridge"] = std::ranges::any_of(organ.files, [](const format::FileEntry& file) {
      return file.role == format::FileRole::bridge;
    });
    if (organ.training) out["trained"] = shown(organ.training->mode);
    for (const format::Evaluation& evaluation : organ.evaluations) {
      out["evaluations"].push_back({{"subject", shown(evaluation.subject)},
                                    {"of", place_of(evaluation)},
                                    {"nll", evaluation.nll},
                                    {"ppl", evaluation.perplexity},
                                    {"tokens", evaluation.tokens}});
    }
  }

  std::size_t place_of(const format::Evaluation& evaluation) {
    const Json value = {{"label", label_of(evaluation)},
                        {"dataset", shown(evaluation.dataset)},
                        {"dataset_digest", evaluation.dataset_digest.to_string()}};
    return measurements_.place_of(value.dump(), value);
  }

  void add_trust(const TrustVerdict& verdict, Json& out) {
    Json keys = Json::array();
    for (const format::KeyId& key : verdict.keys) {
      keys.push_back(keys_.place_of(key.to_string(), key.to_string()));
    }
    out["trust"] = {{"trusted", verdict.trusted()},
                    {"keys", std::move(keys)},
                    {"refusals", shown_list(verdict.refusals)},
                    {"warnings", shown_list(verdict.warnings)}};
  }

  const Registry& registry_;
  SiteResult& result_;
  Shared architectures_, measurements_, keys_;
  Json versions_ = Json::array();
};

Json registry_json(const Registry& registry) {
  const std::vector<LogRecord> records = registry.history();
  return {{"log_key", shown(registry.log_key())},
          {"entries", records.size()},
          {"newest", records.empty() ? Json() : Json(shown(records.back().entry.time))}};
}

}  // namespace

Json site_data(const Registry& registry, const SiteOptions& options, const Work& work,
               SiteResult& result) {
  static_cast<void>(
      registry.policy());  // what all are judged by; throws when it cannot be relied on
  const std::vector<VersionInfo> versions = registry.list();
  const Work collecting = work.phase("reading versions", versions.size(), Unit::items);
  Collector collector(registry, result);
  for (const VersionInfo& version : versions) {
    collector.add(version);
    collecting.advance(1);
  }
  Json data = collector.take();
  data["schema_version"] = 1;
  data["title"] = shown(options.title);
  data["registry"] = registry_json(registry);
  data["tables"] = json_of(options.families);
  data["tables"]["rules"] = json_of(options.rules);
  return data;
}

}  // namespace organ::registry
