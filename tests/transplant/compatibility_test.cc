// SPDX-License-Identifier: Apache-2.0
#include "transplant/compatibility.h"

#include <doctest/doctest.h>

#include <algorithm>

#include <fmt/format.h>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "tests/support/checkpoint_maker.h"
#include "tests/support/support.h"
#include "transplant/extract.h"

using namespace organ;
using namespace organ::transplant;
using nlohmann::json;

namespace {

// An organ of layers 1 and 2 of the small model, and recipients beside it.
struct Bench {
  TempFolder folder = test::scratch();
  format::Manifest organ;

  explicit Bench(const json& donor = test::small_config(),
                 format::DType dtype = format::DType::F32) {
    test::make_checkpoint(folder.path() / "donor", donor, {.dtype = dtype});
    const auto checkpoint = format::Checkpoint::open(folder.path() / "donor");
    organ = extract_organ(checkpoint, {1, 2}, folder.path() / "organ", {.donor_id = "donor"});
  }

  CompatibilityReport check(const json& config, std::uint64_t position = 1,
                            test::CheckpointOptions options = {}) {
    const auto path = folder.path() / "recipient";
    std::filesystem::remove_all(path);
    test::make_checkpoint(path, config, options);
    return check_compatibility(organ, format::Checkpoint::open(path), position);
  }
};

json changed(std::string_view key, json value, json config = test::small_config()) {
  config[std::string(key)] = std::move(value);
  return config;
}

format::FileEntry file_of(std::string path, format::FileRole role) {
  format::FileEntry file;
  file.path = std::move(path);
  file.role = role;
  return file;
}

const CompatibilityFinding* find(const CompatibilityReport& report, std::string_view rule) {
  const auto found =
      std::find_if(report.findings.begin(), report.findings.end(),
                   [&](const CompatibilityFinding& one) { return one.rule == rule; });
  return found == report.findings.end() ? nullptr : &*found;
}

void expect(const CompatibilityReport& report, Level level, std::string_view rule,
            std::string_view expected, std::string_view actual) {
  CAPTURE(rule);
  CHECK(report.level == level);
  const CompatibilityFinding* finding = find(report, rule);
  REQUIRE(finding != nullptr);
  CHECK(finding->severity == (level == Level::A ? finding->severity : Severity::refusal));
  CHECK(finding->expected == expected);
  CHECK(finding->actual == actual);
}

}  // namespace

TEST_CASE("an organ fits the model it came from, which is named as the same donor") {
  Bench bench;
  const auto report =
      check_compatibility(bench.organ, format::Checkpoint::open(bench.folder.path() / "donor"), 1);
  CHECK(report.level == Level::A);
  CHECK(report.installable());
  expect(report, Level::A, "lineage", "same donor", "same donor");
  CHECK(report.fitting_positions == std::vector<std::uint64_t>{0, 1, 2});
}

TEST_CASE("another model of the family fits with a warning about lineage") {
  Bench bench;
  const auto report = bench.check(test::small_config(), 1, {.seed = 2});
  expect(report, Level::A, "lineage", "same donor", "same family");
  CHECK(find(report, "lineage")->severity == Severity::warning);
}

TEST_CASE("a Llama organ fits a Mistral recipient with equal layers") {
  Bench bench;
  auto config = changed("model_type", "mistral");
  config["sliding_window"] = nullptr;
  expect(bench.check(config, 1, {.seed = 2}), Level::A, "lineage", "llama", "mistral");
}

TEST_CASE("every differing field is named with its level and both values") {
  Bench bench;
  expect(bench.check(changed("hidden_size", 16)), Level::C, "hidden_size", "8", "16");
  expect(bench.check(changed("intermediate_size", 20)), Level::B, "intermediate_size", "12", "20");
  expect(bench.check(changed("num_key_value_heads", 2)), Level::B, "num_key_value_heads", "1", "2");
  expect(bench.check(changed("num_attention_heads", 4)), Level::B, "num_attention_heads", "2", "4");
  expect(bench.check(changed("rms_norm_eps", 1e-6)), Level::B, "norm_epsilon", "1e-05", "1e-06");
  expect(bench.check(changed("rope_theta", 500000.0)), Level::B, "rope_theta", "10000", "500000");
  expect(bench.check(changed("attention_bias", true)), Level::B, "attention_bias", "none", "qkvo");
  expect(bench.check(changed("mlp_bias", true)), Level::B, "mlp_bias", "false", "true");
  const auto scaled =
      bench.check(changed("rope_scaling", {{"rope_type", "linear"}, {"factor", 2.0}}));
  CHECK(scaled.level == Level::B);
  CHECK(find(scaled, "rope_scaling") != nullptr);
}

json gpt2_config() {
  return {{"model_type", "gpt2"},
          {"n_embd", 8},
          {"n_layer", 4},
          {"n_head", 2},
          {"n_positions", 32},
          {"n_ctx", 32},
          {"vocab_size", 16},
          {"activation_function", "gelu_new"},
          {"layer_norm_epsilon", 1e-5}};
}

TEST_CASE("another position scheme needs a bridge") {
  Bench bench;
  const auto report = bench.check(gpt2_config());
  CHECK(report.level == Level::C);
  CHECK(find(report, "position") != nullptr);
}

TEST_CASE("layers whose scores their number divides fit their own place only") {
  const json by_index = changed("scale_attn_by_inverse_layer_idx", true, gpt2_config());
  Bench bench(by_index);  // layers 1 and 2, heads of 4
  const auto home = bench.check(by_index);
  CHECK(home.level == Level::A);
  CHECK(home.fitting_positions == std::vector<std::uint64_t>{1});
  const std::string ours = fmt::format("{}, {}", 0.5 / 2, 0.5 / 3);
  const auto elsewhere = bench.check(by_index, 2);
  expect(elsewhere, Level::B, "attention_scales", ours, fmt::format("{}, {}", 0.5 / 3, 0.5 / 4));
  CHECK(find(elsewhere, "attention_scales")->hint.find("position") != std::string::npos);
  const auto plain = bench.check(gpt2_config());
  expect(plain, Level::B, "attention_scales", ours, "none");
  CHECK(plain.fitting_positions.empty());
  const json index_alone = changed("scale_attn_weights", false, by_index);
  expect(bench.check(index_alone), Level::B, "attention_scales", ours,
         fmt::format("{}, {}", 1.0 / 2, 1.0 / 3));
  // In which type the scores are computed is no part of the function.
  CHECK(bench.check(changed("reorder_and_upcast_attn", true, by_index)).level == Level::A);
}

TEST_CASE("scores without the usual factor are another function") {
  Bench bench(gpt2_config());
  const json unscaled = changed("scale_attn_weights", false, gpt2_config());
  expect(bench.check(unscaled), Level::B, "attention_scale", "none", "1");
  CHECK(bench.check(gpt2_config()).fitting_positions == std::vector<std::uint64_t>{0, 1, 2});
}

TEST_CASE("a position out of range is refused with the numbers") {
  Bench bench;
  const auto report = bench.check(test::small_config(), 3);
  CHECK(report.level == Level::D);
  REQUIRE(find(report, "range") != nullptr);
  CHECK(find(report, "range")->message ==
        "position 3 + 2 layers is beyond the recipient's 4 layers");
  CHECK(find(report, "range")->hint == "positions 0 to 2 are in range");
  CHECK(bench.check(test::small_config(), ~std::uint64_t{0}).level == Level::D);
  CHECK(bench.check(changed("num_hidden_layers", 1), 0).level == Level::D);
}

TEST_CASE("an unknown family is a verdict, not an exception") {
  Bench bench;
  test::make_checkpoint(bench.folder.path() / "r", test::small_config());
  write_file(bench.folder.path() / "r" / "config.json", changed("model_type", "mamba").dump());
  const auto report =
      check_compatibility(bench.organ, format::Checkpoint::open(bench.folder.path() / "r"), 1);
  CHECK(report.level == Level::D);
  CHECK(find(report, "family") != nullptr);
}

TEST_CASE("opaque layers fit where they come from in a model that is alike in everything") {
  const auto make = [](const std::filesystem::path& path, const json& config,
                       const test::CheckpointOptions& options) {
    test::make_checkpoint(path, test::small_config(), options);
    write_file(path / "config.json", config.dump());
    return format::Checkpoint::open(path);
  };
  const json family = changed("model_type", "made_up");
  const TempFolder folder = test::scratch();
  const auto donor = make(folder.path() / "donor", family, {.seed = 1});
  const auto organ = extract_organ(donor, {1, 2}, folder.path() / "organ", {.donor_id = "donor"});
  int number = 0;
  const auto check = [&](const json& config, std::uint64_t position,
                         const test::CheckpointOptions& options = {.seed = 2}) {
    const auto path = folder.path() / fmt::format("recipient-{}", number++);
    return check_compatibility(organ, make(path, config, options), position);
  };
  const auto fits = check(changed("_name_or_path", "elsewhere", family), 1);
  CHECK(fits.level == Level::A);
  CHECK(fits.fitting_positions == std::vector<std::uint64_t>{1});
  const auto moved = check(family, 2);
  expect(moved, Level::D, "first_layer", "1", "2");
  CHECK(find(moved, "first_layer")->hint == "--at 1 is where it comes from");
  CHECK(moved.fitting_positions == std::vector<std::uint64_t>{1});
  expect(check(changed("rms_norm_eps", 1e-6, family), 1), Level::D, "config", "1e-05", "1e-06");
  expect(check(changed("extra", "x", family), 1), Level::D, "config", "absent", "\"x\"");
  const auto other_type = check(family, 1, {.dtype = format::DType::BF16});
  CHECK(other_type.level == Level::D);
  CHECK(find(other_type, "tensors") != nullptr);
  CHECK(check(changed("model_type", "other", family), 1).level == Level::D);
  const auto known = check(test::small_config(), 1);
  expect(known, Level::D, "family", "made_up", "llama");
  CHECK(known.fitting_positions.empty());
}

TEST_CASE("T5's table is compared by its values, whatever it is stored in") {
  const json t5 = {{"model_type", "t5"}, {"d_model", 8},      {"d_kv", 4},
                   {"d_ff", 12},         {"num_layers", 4},   {"num_heads", 2},
                   {"vocab_size", 16},   {"n_positions", 32}, {"is_encoder_decoder", true}};
  using format::DType;
  const TempFolder folder = test::scratch();
  test::make_checkpoint(folder.path() / "wide", t5);
  const auto wide = format::Checkpoint::open(folder.path() / "wide");
  test::make_checkpoint(folder.path() / "other", t5, {.seed = 2});
  const auto other = format::Checkpoint::open(folder.path() / "other");
  const auto copy = [&](const format::Checkpoint& from, const char* name, DType type) {
    test::convert_checkpoint(from, folder.path() / name, type);
    return format::Checkpoint::open(folder.path() / name);
  };
  const auto brain = copy(wide, "brain", DType::BF16), half = copy(wide, "half", DType::F16);
  const auto exact = copy(brain, "exact", DType::F32);
  int number = 0;
  const auto organ_of = [&](const format::Checkpoint& donor) {
    return extract_organ(donor, {1, 2}, folder.path() / fmt::format("organ-{}", number++),
                         {.donor_id = "donor"});
  };
  for (const auto* donor : {&wide, &brain, &half}) {
    const auto organ = organ_of(*donor);
    CHECK(check_compatibility(organ, *donor, 1).level == Level::A);
    CHECK(check_compatibility(organ, other, 1).level == Level::D);
  }
  const auto f32 = organ_of(wide), bf16 = organ_of(brain), f16 = organ_of(half);
  for (const auto* recipient : {&brain, &half}) {
    const auto report = check_compatibility(f32, *recipient, 1);
    CHECK(report.level == Level::A);
    CHECK(report.fitting_positions == std::vector<std::uint64_t>{0, 1, 2});
    CHECK(find(report, "shared_values") != nullptr);
  }
  CHECK(check_compatibility(bf16, wide, 1).level == Level::A);
  CHECK(check_compatibility(bf16, exact, 1).level == Level::A);
  CHECK(check_compatibility(f16, wide, 1).level == Level::A);
  CHECK(check_compatibility(f32, exact, 1).level == Level::D);  // two tables of one type

  // An organ of before knows its own bytes alone.
  auto before = f32;
  before.extensions = {};
  CHECK(check_compatibility(before, wide, 1).level == Level::A);
  CHECK(check_compatibility(before, brain, 1).level == Level::D);
  before = bf16;
  before.extensions = {};
  CHECK(check_compatibility(before, wide, 1).level == Level::A);
}

TEST_CASE("what is odd about a recipient is a warning of its check") {
  Bench bench;
  const auto report = bench.check(changed("use_qk_norm", true));
  CHECK(report.level == Level::A);
  REQUIRE(find(report, "recipient") != nullptr);
  CHECK(find(report, "recipient")->severity == Severity::warning);
  CHECK(find(report, "recipient")->message.find("'use_qk_norm'") != std::string::npos);
}

TEST_CASE("element types that are converted give a warning, others a refusal") {
  Bench bench;
  const auto rounds = bench.check(test::small_config(), 1, {.dtype = format::DType::BF16});
  expect(rounds, Level::A, "dtype", "F32", "BF16");
  CHECK(find(rounds, "dtype")->severity == Severity::warning);
  Bench narrow(test::small_config(), format::DType::BF16);
  expect(narrow.check(test::small_config(), 1, {.dtype = format::DType::F16}), Level::B, "dtype",
         "BF16", "F16");
}

TEST_CASE("training and other parts of the organ give their own findings") {
  Bench bench;
  CHECK(find(bench.check(test::small_config(), 0), "home_position")->severity == Severity::note);
  bench.organ.training.emplace();
  bench.organ.training->mode = "wrapper";
  const auto report = bench.check(test::small_config(), 0);
  CHECK(find(report, "wrapper") != nullptr);
  CHECK(find(report, "home_position")->severity == Severity::warning);
  bench.organ.files.push_back(file_of("head.safetensors", format::FileRole::head));
  expect(bench.check(test::small_config()), Level::A, "head", "head.safetensors",
         "tied to the embedding");
  bench.organ.files.push_back(file_of("bridge.safetensors", format::FileRole::bridge));
  expect(bench.check(test::small_config()), Level::C, "bridge", "bridge.safetensors", "none");
}

TEST_CASE("a tokenizer that is unknown or another one is mentioned") {
  Bench bench;
  CHECK(find(bench.check(test::small_config()), "tokenizer")->severity == Severity::note);
  const std::string tokenizer = R"({"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]}})";
  write_file(bench.folder.path() / "recipient" / "tokenizer.json", tokenizer);
  const auto recipient = format::Checkpoint::open(bench.folder.path() / "recipient");
  const auto theirs = format::tokenizer_digest(recipient.folder());
  REQUIRE(theirs.has_value());
  bench.organ.tokenizer = format::TokenizerRecord{*theirs, {}};
  CHECK(find(check_compatibility(bench.organ, recipient, 1), "tokenizer") == nullptr);
  bench.organ.tokenizer->digest = sha256("another");
  const auto report = check_compatibility(bench.organ, recipient, 1);
  expect(report, Level::A, "tokenizer", sha256("another").to_string(), theirs->to_string());
  CHECK(find(report, "tokenizer")->severity == Severity::warning);
}

TEST_CASE("a refused report becomes an error with every reason") {
  Bench bench;
  auto config = changed("rope_theta", 5000.0);
  config["intermediate_size"] = 20;
  const auto report = bench.check(config);
  const std::string error =
      test::error_of([&] { require_installable(report, "legal", "recipient"); });
  CHECK(error.starts_with("incompatible: 'legal': does not fit 'recipient' at layer 1 (level B)"));
  CHECK(error.find("intermediate_size is 12 in the organ and 20") != std::string::npos);
  CHECK(error.find("rope_theta is 10000 in the organ and 5000") != std::string::npos);
}
