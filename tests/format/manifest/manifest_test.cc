// SPDX-License-Identifier: Apache-2.0
#include "format/manifest/manifest.h"
#include "format/base/json.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>

#include <nlohmann/json.hpp>

#include "format/architecture/architecture.h"
#include "format/base/file.h"
#include "format/organ/organ_source.h"
#include "tests/support/support.h"
#include "tests/support/tiny_organ.h"

namespace organ::format {
using nlohmann::json;
using test::error_of;
using test::scratch;

namespace {

std::string parse_error(const std::string& text) {
  return error_of([&] { Manifest::parse(text, "organ.json"); });
}

// organ.json with every optional field present.
const json& full_document() {
  static const json document = [] {
    const TempFolder folder = scratch();
    return json::parse(OrganFolder::open(test::write_tiny_organ(folder.path() / "organ", 2, true))
                           .manifest_text());
  }();
  return document;
}

// Calls `visit` with a pointer to each value of the document.
void each_value(const json& value, const json::json_pointer& at,
                const std::function<void(const json::json_pointer&)>& visit) {
  visit(at);
  if (value.is_object()) {
    for (const auto& [key, child] : value.items()) each_value(child, at / key, visit);
  } else if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i) each_value(value[i], at / i, visit);
  }
}

// Free-form places: what is in there is the publisher's.
bool is_free(const json::json_pointer& at) {
  const std::string text = at.to_string();
  return text.starts_with("/x_note") || text.starts_with("/training/hyperparameters/") ||
         text.starts_with("/training/software/") || text.starts_with("/tokenizer/special_ids/");
}

bool is_nullable(const json::json_pointer& at) {
  static const std::vector<std::string> keys = {
      "license",        "donor_revision", "training",         "tokenizer",
      "position",       "bits_per_byte",  "tokenizer_digest", "lead_in",
      "document_split", "padding_id",     "draw_seed",        "first_windows"};
  return std::find(keys.begin(), keys.end(), at.back()) != keys.end();
}

void resign(json& document) {
  document["architecture"]["signature"] =
      Architecture::signature(json_text(document["architecture"]["layer"])).to_string();
}

}  // namespace

TEST_CASE("a full manifest is read and written back byte for byte") {
  const std::string text = full_document().dump();
  const Manifest manifest = Manifest::parse(text, "organ.json");
  CHECK(manifest.to_text() == text);
  CHECK(json_of(manifest.extensions)["x_note"]["kept"][2] == "three");
  CHECK(manifest.training->changes[0].relative_rms == 0.03125);
  CHECK(manifest.evaluations[0].bits_per_byte == 0.875);
  CHECK(manifest.layer_count() == 2);
}

TEST_CASE("a figure of before, whose reading or conditions nobody recorded, stays as it is") {
  json document = full_document();
  for (const char* key : {"document_split", "padding_id", "draw_seed", "first_windows"}) {
    document["evaluations"][0].erase(key);
  }
  const Manifest manifest = Manifest::parse(document.dump(), "organ.json");
  CHECK_FALSE(manifest.evaluations[0].conditions->reading);
  CHECK(label_text(*manifest.evaluations[0].conditions) == "lead=1,fp32,cpu,chose-weights");
  CHECK(manifest.to_text() == document.dump());
  for (const char* key : {"precision", "device", "lead_in", "chose_weights"}) {
    document["evaluations"][0].erase(key);
  }
  const Manifest older = Manifest::parse(document.dump(), "organ.json");
  CHECK_FALSE(older.evaluations[0].conditions);
  CHECK(older.to_text() == document.dump());
}

TEST_CASE("how the data was read is not said without what else decides the figure") {
  json document = full_document();
  for (const char* key : {"precision", "device", "lead_in", "chose_weights"}) {
    document["evaluations"][0].erase(key);
  }
  CHECK(parse_error(document.dump()).find("'precision': is missing beside") != std::string::npos);
  document = full_document();
  document["evaluations"][0]["document_split"] = "pages";
  CHECK(parse_error(document.dump()).find("document_split") != std::string::npos);
  document["evaluations"][0]["document_split"] = "file";
  document["evaluations"][0]["first_windows"] = 0;
  CHECK(parse_error(document.dump()).find("first_windows") != std::string::npos);
}

TEST_CASE("an organ of before, with reals as hex floats, stays as it is; a mixture is refused") {
  json document = full_document();
  std::vector<json::json_pointer> reals;
  each_value(document, json::json_pointer(), [&](const json::json_pointer& at) {
    if (!is_free(at) && document[at].is_number_float()) reals.push_back(at);
  });
  CHECK(reals.size() == 5);
  CHECK_FALSE(Manifest::parse(document.dump(), "organ.json").hex_reals);
  for (const auto& at : reals) {
    json mixed = full_document();
    mixed[at] = real_to_hex(mixed[at].get<double>());
    CAPTURE(at.to_string());
    CHECK(parse_error(mixed.dump()).find("not canonical JSON") != std::string::npos);
    document[at] = mixed[at];
  }
  const Manifest manifest = Manifest::parse(document.dump(), "organ.json");
  CHECK(manifest.hex_reals);
  CHECK(manifest.evaluations[0].nll == 2.5);
  CHECK(manifest.to_text() == document.dump());
}

TEST_CASE("what is signed by its fields holds no real number") {
  json document = full_document();
  document["architecture"]["layer"]["norm_epsilon"] = 0.5;
  CHECK(parse_error(document.dump()).find("holds a real number") != std::string::npos);
}

TEST_CASE("every missing field is refused as damage") {
  std::size_t tried = 0;
  each_value(full_document(), json::json_pointer(), [&](const json::json_pointer& at) {
    if (at.empty() || is_free(at) || at == json::json_pointer("/x_note")) return;
    json damaged = full_document();
    json& parent = damaged[at.parent_pointer()];
    if (!parent.is_object()) return;
    parent.erase(at.back());
    const std::string error = parse_error(damaged.dump());
    CAPTURE(at.to_string());
    CHECK(error.starts_with("corrupt: organ.json"));
    ++tried;
  });
  CHECK(tried > 90);
}

TEST_CASE("every field of another type, and null for each, is refused as damage") {
  const std::vector<json> others = {nullptr, true, "x", -1, 1.5, json::array(), json::object()};
  each_value(full_document(), json::json_pointer(), [&](const json::json_pointer& at) {
    if (at.empty() || is_free(at) || at.to_string() == "/x_note") return;
    const json& right = full_document()[at];
    for (const json& other : others) {
      if (other.type() == right.type() || (other.is_null() && is_nullable(at))) continue;
      json damaged = full_document();
      damaged[at] = other;
      const std::string error = parse_error(damaged.dump());
      CAPTURE(at.to_string());
      CAPTURE(other.dump());
      CHECK(error.starts_with("corrupt: "));
    }
  });
}

TEST_CASE("an unknown role is refused with every role that there is") {
  json damaged = full_document();
  damaged["files"][0]["role"] = "sheared";
  const std::string error = parse_error(damaged.dump());
  for (const FileRole role :
       {FileRole::layer, FileRole::shared, FileRole::head, FileRole::bridge, FileRole::card}) {
    CAPTURE(to_string(role));
    CHECK(error.find(to_string(role)) != std::string::npos);
  }
}

TEST_CASE("what happened is dated by the clock, what is made as it is wished") {
  ::setenv("SOURCE_DATE_EPOCH", "0", 1);
  const std::string made = creation_time(), happened = clock_time();
  ::unsetenv("SOURCE_DATE_EPOCH");
  CHECK(made == "1970-01-01T00:00:00Z");
  CHECK(happened > "2024");
  CHECK(happened.size() == made.size());
}

TEST_CASE("unknown fields: top level kept, inside refused, critical needs a newer organ") {
  json document = full_document();
  document["future"] = {{"a", 1}};
  CHECK(Manifest::parse(document.dump(), "organ.json").to_text() == document.dump());
  document["critical_future"] = 1;
  CHECK(parse_error(document.dump()).starts_with("unsupported_version: "));
  for (const char* object :
       {"/architecture", "/extraction", "/training", "/training/data/0", "/training/changes/0",
        "/evaluations/0", "/tokenizer", "/files/0", "/files/1/tensors/0"}) {
    json damaged = full_document();
    damaged[json::json_pointer(object)]["Digest"] = 1;
    const std::string error = parse_error(damaged.dump());
    CAPTURE(object);
    CHECK(error.starts_with("corrupt: "));
    CHECK(error.find("'Digest': is unknown") != std::string::npos);
  }
}

TEST_CASE("a newer schema version is refused with the version needed") {
  json document = {{"schema_version", 7u}, {"all", "else differs"}};
  const std::string error = parse_error(document.dump());
  CHECK(error.starts_with("unsupported_version: "));
  CHECK(error.find("schema version 7") != std::string::npos);
  document["schema_version"] = 0u;
  CHECK(parse_error(document.dump()).starts_with("corrupt: "));
}

TEST_CASE("text that means the same but is not canonical is refused") {
  const std::string text = full_document().dump();
  CHECK(parse_error(text + "\n").find("not canonical JSON") != std::string::npos);
  CHECK(parse_error(" " + text).find("from byte 0 on") != std::string::npos);
  CHECK(parse_error(full_document().dump(2)).find("not canonical JSON") != std::string::npos);
  std::string escaped = text;
  escaped.replace(escaped.find("acme"), 1, "\\u0061");
  CHECK(parse_error(escaped).find("not canonical JSON") != std::string::npos);
}

TEST_CASE("values that contradict each other are refused with the reason") {
  struct Case {
    const char* pointer;
    json value;
    const char* words;
  };
  const json& full = full_document();
  const std::vector<Case> cases = {
      {"/name", "../x", "does not match"},
      {"/version", "1.0", "three numbers"},
      {"/created", "2026-02-30T00:00:00Z", "expected a time"},
      {"/created", "2026-01-31 12:00:00Z", "expected a time"},
      {"/description", std::string(5000, 'x'), "at most 4096"},
      {"/architecture/signature", sha256("x").to_string(), "but architecture.layer gives"},
      {"/architecture/layer/hidden_size", 16u, "but architecture.layer gives"},
      {"/extraction/layer_count", 0u, "expected 1 to"},
      {"/extraction/layer_count", 5000u, "expected 1 to"},
      {"/extraction/first_layer", 2u, "outside a donor of 3"},
      {"/extraction/first_layer", 9223372036854775807u, "outside a donor"},
      {"/extraction/layer_digests", json::array(), "has 0 digests for 2"},
      {"/training/mode", "elsewhere", "expected one of in_situ, wrapper"},
      {"/training/changes/0/unchanged_fraction", "0x1p+1", "from 0 to 1"},
      {"/training/changes/0/relative_rms", "0.5", "hex float"},
      {"/training/changes/0/relative_rms", "nan", "hex float"},
      {"/training/changes/0/relative_rms", "-0x1p-1", "from 0 to"},
      {"/evaluations/0/subject", "me", "expected one of"},
      {"/evaluations/0/protocol", "P4", "P4 is a diagnostic"},
      {"/evaluations/0/nll", "inf", "hex float"},
      {"/evaluations/0/precision", "fp8", "expected one of fp32, bf16"},
      {"/evaluations/0/device", "cuda:1", "expected one of cpu, cuda"},
      {"/evaluations/0/lead_in", std::vector<unsigned>(65, 1), "more than 64 ids"},
      {"/files/1/role", "engine", "expected layer, shared, head, bridge or card"},
      {"/files/1/role", "head", "is stored as 'head.safetensors'"},
      {"/files/1/path", "../layer.00.safetensors", "not a safe file name"},
      {"/files/1/path", "Organ.json", "taken by another file"},
      {"/files/1/path", "layer.02.safetensors", "not sorted"},
      {"/files/1/size", 9223372036854775807u, "is more than"},
      {"/files/1/size", 5089u, "tensors end at byte 5088 but its size is 5089"},
      {"/files/1/size", 4194305u, "expected 2 chunk digests"},
      {"/files/1/chunks", json::array(), "expected 1 chunk digest "},
      {"/files/1/digest", sha256("x").to_string(), "only chunk differs"},
      {"/files/1/digest", "sha256:../../x", "64 lower-case hex digits"},
      {"/files/1/data_start", 4095u, "multiple of 4096"},
      {"/files/1/data_start", 0u, "multiple of 4096"},
      {"/files/1/tensors", json::array(), "holds no tensor"},
      {"/files/1/tensors/0/dtype", "bf16", "unknown dtype"},
      {"/files/1/tensors/0/dtype", "F32", "tensors end at byte"},
      {"/files/1/tensors/0/name", "a\nb", "tensor 'a\\x0ab'"},
      {"/files/1/tensors/0/name", "mlp.up_proj.weight", "twice"},
      {"/files/1/tensors/0/name", "other.weight", "is not one of architecture.layer"},
      {"/files/1/tensors/0/shape", json::array({12u, 8u}), "architecture.layer has shape"},
      {"/files/1/tensors/0/shape", json::array({4294967296u, 4294967296u}), ""},
      {"/files/1/tensors/0/shape", json::array({2u, 9223372036854775807u}), ""},
      {"/files", json::array({full["files"][0], full["files"][1]}), "expected 2 layer files"},
      {"/files", json::array(), "expected 2 layer files"}};
  for (const Case& one : cases) {
    json damaged = full;
    damaged[json::json_pointer(one.pointer)] = one.value;
    const std::string error = parse_error(damaged.dump());
    CAPTURE(one.pointer);
    CAPTURE(error);
    CHECK(error.starts_with("corrupt: "));
    CHECK(error.find(one.words) != std::string::npos);
  }
}

TEST_CASE("a signature that is right over fields that contradict the tensors does not help") {
  json document = full_document();
  document["architecture"]["layer"]["tensors"]["mlp.up_proj.weight"] = {12u, 9u};
  resign(document);
  CHECK(parse_error(document.dump()).find("architecture.layer has shape [12, 9]") !=
        std::string::npos);
  document = full_document();
  document["architecture"]["layer"]["attention_types"] = {"full"};
  resign(document);
  CHECK(parse_error(document.dump()).find("1 entry for 2 layers") != std::string::npos);
  document = full_document();
  document["architecture"]["layer"]["attention_scales"] = {"0x1p-1", "0x1p-2", "0x1p-3"};
  resign(document);
  CHECK(parse_error(document.dump()).find("attention_scales': has 3 entries for 2 layers") !=
        std::string::npos);
}

TEST_CASE("every truncation of a manifest is refused as damage") {
  const std::string text = full_document().dump();
  for (std::size_t size = 0; size < text.size(); ++size) {
    const std::string error = parse_error(text.substr(0, size));
    if (!error.starts_with("corrupt: ")) FAIL_CHECK("no corrupt error at " << size);
  }
}

TEST_CASE("bad JSON, duplicate keys and reals of another spelling are refused") {
  const std::string text = full_document().dump();
  const std::string with_real = "{\"a_real\":1.5," + text.substr(1);
  CHECK(Manifest::parse(with_real, "organ.json").to_text() == with_real);
  const std::vector<std::string> refused = {"",
                                            "[]",
                                            "null",
                                            "{}",
                                            "{\"schema_version\":1}",
                                            text + "x",
                                            "\xEF\xBB\xBF" + text,
                                            text + std::string(1, '\0'),
                                            "{\"name\":\"a\"," + text.substr(1),
                                            "{\"\\u006eame\":\"a\"," + text.substr(1),
                                            "{\"a_real\":1.50," + text.substr(1),
                                            "{\"a_real\":1e400," + text.substr(1),
                                            std::string(100'000, '[')};
  for (const std::string& one : refused) CHECK(parse_error(one).starts_with("corrupt: "));
  CHECK(parse_error(text + std::string(kManifestLimit, ' '))
            .find("expected at most 16777216 bytes of JSON") != std::string::npos);
}

}  // namespace organ::format
