// SPDX-License-Identifier: Apache-2.0
// Organs that an earlier organ cut out of layers whose maths it did not know.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "format/base/json.h"
#include "format/checkpoint/checkpoint_config.h"
#include "tests/support/checkpoint_maker.h"
#include "tests/support/support.h"
#include "transplant/compatibility.h"
#include "transplant/extract.h"
#include "transplant/install.h"

using namespace organ;
using namespace organ::transplant;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

json like_llama(const char* family) {
  json config = test::small_config();
  config["model_type"] = family;
  return config;
}

// Small models of every known family.
std::vector<json> families() {
  json gpt_oss = like_llama("gpt_oss");
  gpt_oss["num_local_experts"] = 2;
  gpt_oss["num_experts_per_tok"] = 1;
  gpt_oss["head_dim"] = 4;
  gpt_oss.erase("hidden_act");
  return {like_llama("llama"),
          like_llama("mistral"),
          like_llama("qwen2"),
          like_llama("qwen3"),
          gpt_oss,
          {{"model_type", "gpt2"},
           {"n_embd", 8},
           {"n_head", 2},
           {"n_layer", 4},
           {"n_positions", 16},
           {"scale_attn_by_inverse_layer_idx", true},
           {"vocab_size", 11}},
          {{"model_type", "bert"},
           {"hidden_size", 8},
           {"intermediate_size", 16},
           {"num_attention_heads", 2},
           {"num_hidden_layers", 4},
           {"vocab_size", 11},
           {"max_position_embeddings", 16}},
          {{"model_type", "t5"},
           {"d_model", 8},
           {"d_kv", 4},
           {"d_ff", 16},
           {"num_heads", 2},
           {"num_layers", 4},
           {"vocab_size", 11}}};
}

// "model.layers"
std::string list_of(const format::Checkpoint& checkpoint) {
  const std::string first = checkpoint.layer_prefix(0);
  return first.substr(0, first.size() - std::string(".0.").size());
}

struct Bench {
  json config;
  TempFolder folder = test::scratch();
  fs::path model = folder.path() / "model";

  explicit Bench(json of) : config(std::move(of)) {
    test::make_checkpoint(folder.path() / "donor", config, {.seed = 1});
    test::make_checkpoint(model, config, {.seed = 2});
    const auto donor = format::Checkpoint::open(folder.path() / "donor");
    REQUIRE_FALSE(donor.architecture().is_opaque());
    const auto then = format::CheckpointConfig::as_opaque(donor, list_of(donor));
    extract_organ(then, {1, 2}, folder.path() / "organ", {.donor_id = "donor"});
  }

  format::OrganFolder organ() const { return format::OrganFolder::open(folder.path() / "organ"); }
  CompatibilityReport check(const std::string& stack, std::uint64_t position) const {
    return check_compatibility(organ().manifest(), format::Checkpoint::open(model, stack),
                               position);
  }
};

bool refuses(const CompatibilityReport& report, std::string_view rule) {
  return std::any_of(report.findings.begin(), report.findings.end(), [&](const auto& finding) {
    return finding.rule == rule && finding.severity == Severity::refusal;
  });
}

}  // namespace

TEST_CASE("an organ of a family that became known since fits where it comes from") {
  std::set<std::string, std::less<>> seen;
  for (const json& config : families()) {
    const std::string family = config.at("model_type");
    CAPTURE(family);
    seen.insert(family);
    const Bench bench(config);
    const format::Manifest organ = bench.organ().manifest();
    REQUIRE(json_of(organ.architecture.layer).contains("maths"));
    const CompatibilityReport home = bench.check(organ.stack(), 1);
    CHECK(home.level == Level::A);
    CHECK(home.fitting_positions == std::vector<std::uint64_t>{1});
    CHECK(refuses(bench.check(organ.stack(), 2), "first_layer"));

    const auto before = test::digests_of(bench.model);
    install_organ(bench.organ(), bench.model,
                  {.position = 1, .out = {}, .trust = {}, .source = "organ"});
    const auto installed = format::Checkpoint::open(bench.model, organ.stack());
    const auto donor = format::Checkpoint::open(bench.folder.path() / "donor", organ.stack());
    const auto other = test::digests_of(bench.model);
    CHECK(other != before);
    for (const std::uint64_t layer : {1, 2}) {
      CHECK(installed.layer_digest(layer) == donor.layer_digest(layer));
    }
    CHECK(installed.layer_digest(0) != donor.layer_digest(0));
    uninstall_organ(bench.model);
    CHECK(test::digests_of(bench.model) == before);
  }
  for (const std::string_view family : format::known_families()) {
    CAPTURE(family);
    CHECK(seen.contains(family));
  }
}

TEST_CASE("such an organ fits no model that was another then") {
  for (const json& config : families()) {
    CAPTURE(config.at("model_type"));
    Bench bench(config);
    const std::string stack = bench.organ().manifest().stack();
    json other = config;
    other["layer_norm_eps"] = 1e-3;
    other["rms_norm_eps"] = 1e-3;
    other["layer_norm_epsilon"] = 1e-3;
    fs::remove_all(bench.model);
    test::make_checkpoint(bench.model, other);
    const CompatibilityReport report = bench.check(stack, 1);
    CHECK(report.level == Level::D);
    CHECK(refuses(report, "config"));
    CHECK(refuses(check_compatibility(bench.organ().manifest(),
                                      format::Checkpoint::open(bench.folder.path() / "donor"), 9),
                  "range"));
  }
}
