// SPDX-License-Identifier: Apache-2.0
#include "train/adapter/module_filter.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/support/support.h"

namespace organ::train {
namespace {

ModuleFilter filter(const nlohmann::json& value, bool dotted = true) {
  return ModuleFilter::parse(value, dotted, "target_modules");
}

}  // namespace

TEST_CASE("a list names whole modules and dotted endings") {
  const ModuleFilter f = filter({"c_proj", "model.layers.1.mlp.up_proj"});
  CHECK(f.matches("transformer.h.0.attn.c_proj"));
  CHECK(f.matches("c_proj"));
  CHECK(f.matches("model.layers.1.mlp.up_proj"));
  CHECK_FALSE(f.matches("model.layers.11.mlp.up_proj.x"));
  CHECK_FALSE(f.matches("xc_proj"));
  CHECK_FALSE(f.matches("c_proj.weight"));
  CHECK(filter({"proj"}, false).matches("mlp.c_proj"));
  CHECK_FALSE(filter({"proj"}).matches("mlp.c_proj"));
}

TEST_CASE("a string is all-linear or a regular expression for the whole name") {
  CHECK(filter("All-Linear").all_linear());
  CHECK_FALSE(filter("all-linear").matches("x"));
  const ModuleFilter f = filter(R"(.*\.layers\.\d+\.self_attn\.(q|q_proj))");
  CHECK(f.matches("model.layers.12.self_attn.q_proj"));
  CHECK_FALSE(f.matches("model.layers.12.self_attn.q_proj.x"));
  CHECK_FALSE(f.matches("model.layers.x.self_attn.q_proj"));
  CHECK(filter(nlohmann::json()).empty());
}

TEST_CASE("a pattern may match the empty string, as in PEFT") {
  for (const char* everything : {".*", "(?:.*proj)?", "|.*q_proj"}) {
    CAPTURE(std::string(everything));
    CHECK(filter(everything).matches("model.layers.0.self_attn.q_proj"));
  }
  CHECK_FALSE(filter("(?:.*proj)?").matches("model.norm"));
  CHECK_FALSE(filter("|.*q_proj").matches("model.layers.0.self_attn.k_proj"));
  CHECK(NamePattern::suffix(".*", "rank_pattern").matches("k_proj"));
}

TEST_CASE("a string is a regular expression of Python") {
  for (const char* pattern :
       {R"(.*\bq_proj)", R"([\w.]+q_proj\Z)", R"((?i).*Q_PROJ)", R"((?P<a>mlp)\.q_proj)",
        R"(ml(?i:P)\.q_proj)", R"(\x6dlp\.\161\u005fproj)", R"(.*l{,3}p[.]q[_[]proj)",
        R"((?#x)mlp\W+q_proj)", R"(m(l)p.q_pr.j|\1)"}) {
    CAPTURE(std::string(pattern));
    CHECK(filter(pattern).matches("mlp.q_proj"));
    CHECK_FALSE(filter(pattern).matches("mlp.q_proj.x"));
    CHECK_FALSE(filter(pattern).matches("mlp.k_proj"));
  }
}

TEST_CASE("keys of rank_pattern match the name or what follows a dot") {
  const NamePattern key = NamePattern::suffix("k_proj|layers.1.up", "rank_pattern");
  CHECK(key.matches("k_proj"));
  CHECK(key.matches("model.layers.0.k_proj"));
  CHECK(key.matches("model.layers.1.up"));
  CHECK_FALSE(key.matches("model.layers.0.xk_proj"));
  CHECK_FALSE(key.matches("k_proj.x"));
}

TEST_CASE("what is no filter is refused") {
  using test::error_of;
  CHECK(error_of([] { filter(7); }) ==
        "corrupt: target_modules: expected a list of names or a string, got number");
  CHECK(error_of([] { filter({"a", 1}); }).starts_with("corrupt: target_modules: expected a list"));
  CHECK(error_of([] { filter({""}); }).starts_with("corrupt: target_modules"));
  for (const char* pattern : {R"((?<name>q)_proj)", R"(\Qq\E)", "(*UTF)q", "q**", "(q", "q)", "q[",
                              R"(\N{DIGIT ONE})", "x(?i)q", "(?x)q", R"([\w-q])", R"(\x7)"}) {
    CAPTURE(std::string(pattern));
    CHECK(error_of([&] { filter(pattern); }).starts_with("incompatible: target_modules"));
  }
  CHECK(error_of([] {
          NamePattern::suffix(R"((a)\1)", "rank_pattern");
        }).starts_with("incompatible: rank_pattern"));
  CHECK(error_of([] {
          NamePattern::suffix("(?i)q", "rank_pattern");
        }).starts_with("incompatible: rank_pattern"));
  CHECK(error_of([] { filter(std::string(5000, 'a')); }).starts_with("corrupt: target_modules"));
}

}  // namespace organ::train
