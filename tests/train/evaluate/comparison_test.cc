// SPDX-License-Identifier: Apache-2.0
#include "train/evaluate/comparison.h"

#include <functional>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "format/base/file.h"
#include "tests/support/support.h"

namespace organ::train {
namespace {

using nlohmann::json;

// What `organ eval --json --per-document` prints, as far as a comparison reads it.
json saved() {
  return {{"command", "eval"},
          {"schema_version", 1},
          {"protocol", "P0"},
          {"context", 16},
          {"stride", 16},
          {"precision", "fp32"},
          {"device", "cpu"},
          {"lead_in", {1}},
          {"document_split", "file"},
          {"padding_id", nullptr},
          {"draw_seed", nullptr},
          {"first_windows", nullptr},
          {"tokens", 4},
          {"nll", 2.5},
          {"dataset", {{"sha256", std::string(64, 'a')}}},
          {"tokenizer", nullptr},
          {"documents", {{{"nll", 5.0}, {"targets", 2}}, {{"nll", 5.0}, {"targets", 2}}}}};
}

EvalRecord read(const std::string& name, const json& record) {
  const TempFolder folder = test::scratch();
  write_file(folder.path() / name, record.dump());
  EvalRecord result = read_eval_record(folder.path() / name);
  result.source = name;
  return result;
}

// What the comparison says of a record that `edit` changed.
std::string against_changed(const std::function<void(json&)>& edit) {
  json other = saved();
  edit(other);
  return test::error_of([&] { check_comparable(read("a.json", saved()), read("b.json", other)); });
}

}  // namespace

TEST_CASE("everything that decides a figure must be alike") {
  CHECK(against_changed([](json&) {}) == "no error");
  const std::vector<std::pair<json, std::string>> changes = {
      {{{"protocol", "P0w"}}, "the protocol is 'P0' against 'P0w'"},
      {{{"context", 8}}, "the context is 16 against 8"},
      {{{"stride", 8}}, "the stride is 16 against 8"},
      {{{"dataset", {{"sha256", std::string(64, 'b')}}}}, "the data set is"},
      {{{"tokenizer", "sha256:" + std::string(64, '0')}}, "the tokenizer is 'none' against"},
      {{{"precision", "bf16"}}, "the precision is 'fp32' against 'bf16'"},
      {{{"device", "cuda:1"}}, "the class of device is 'cpu' against 'cuda'"},
      {{{"lead_in", json::array()}}, "(lead-in) is '1' against 'none'"},
      {{{"lead_in", {1, 2}}}, "(lead-in) is '1' against '1+2'"},
      {{{"lead_in", nullptr}}, "(lead-in) is '1' against 'as-is'"},
      {{{"document_split", "blank-lines"}}, "(--documents) is 'file' against 'blank-lines'"},
      {{{"document_split", nullptr}}, "(--documents) is 'file' against 'as-is'"},
      {{{"padding_id", 0}}, "(--pad-id) is 'nothing' against '0'"},
      {{{"draw_seed", 0}}, "(--mask-seed) is 'none' against '0'"},
      {{{"first_windows", 2}}, "(--windows) is 'all' against '2'"},
      {{{"tokens", 5}}, "the number of targets is 4 against 5"}};
  for (const auto& [change, words] : changes) {
    const std::string error =
        against_changed([&fields = change](json& other) { other.update(fields); });
    CAPTURE(error);
    CHECK(error.starts_with("invalid_argument: comparison: "));
    CHECK(error.find(words) != std::string::npos);
  }
}

TEST_CASE("which CUDA device it was does not matter") {
  json first = saved(), second = saved();
  first["device"] = "cuda";
  second["device"] = "cuda:3";
  check_comparable(read("a.json", first), read("b.json", second));
}

TEST_CASE("a record of before is read, but stands beside records of then alone") {
  const std::vector<std::vector<std::string>> recorded = {
      {"precision"},
      {"device"},
      {"lead_in"},
      {"document_split", "padding_id", "draw_seed", "first_windows"}};
  for (const auto& keys : recorded) {
    CAPTURE(keys.front());
    const auto forget = [&keys](json& record) {
      for (const auto& key : keys) record.erase(key);
    };
    const std::string error = against_changed(forget);
    CHECK(error.starts_with(
        "invalid_argument: comparison: 'b.json' was made by an older organ and does not say "));
    CHECK(error.find("'a.json' says") != std::string::npos);
    json old = saved();
    forget(old);
    check_comparable(read("a.json", old), read("b.json", old));
  }
}

TEST_CASE("as many documents as a record may have are read again") {
  constexpr std::uint64_t kMost = (std::uint64_t{256} << 20) / 96 - 50'000;
  require_record_fits(kMost, 10);
  for (const auto& [documents, files] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{
           {kMost + 100'000, 1}, {1, 200'000}, {UINT64_MAX, 1}, {1, UINT64_MAX}}) {
    const std::string error =
        test::error_of([d = documents, f = files] { require_record_fits(d, f); });
    CHECK(error.starts_with("invalid_argument: --per-document: the record of "));
  }
  // The longest entry that a score can have, a million times.
  json record = saved();
  record["documents"] = document_scores(
      std::vector<DocumentScore>(1'000'000, {1.2345678901234567e-300, std::int64_t{1} << 53}));
  // A line end, a comma and the place in the record belong to each, as it is printed.
  const json shown = {{"documents", json::array({record["documents"][0], record["documents"][1]})}};
  const json one = {{"documents", json::array({record["documents"][0]})}};
  CHECK(shown.dump(2).size() - one.dump(2).size() <= 96);
  CHECK(read("a.json", record).documents.size() == 1'000'000);
}

}  // namespace organ::train
