// SPDX-License-Identifier: Apache-2.0
#include "format/base/json.h"

#include <limits>
#include <utility>

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "format/base/digest.h"
#include "format/base/fail.h"
#include "tests/support/support.h"

using namespace organ;

namespace {

std::string refusal(std::string_view text, const JsonLimits& limits = {}) {
  return test::error_of([&] { parse_json(text, limits, "doc"); });
}

std::string repeat(std::string_view piece, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += piece;
  return out;
}

}  // namespace

TEST_CASE("json: a document keeps its values exactly") {
  const Json value = parse_json(
      R"({"a":[1,-2,18446744073709551615,-9223372036854775808],"b":{"c":null,"d":true},"e":"\u00fc"})",
      {}, "doc");
  CHECK(value["a"][2].get<std::uint64_t>() == UINT64_MAX);
  CHECK(value["a"][3].get<std::int64_t>() == INT64_MIN);
  CHECK(value["b"]["c"].is_null());
  CHECK(value["e"].get<std::string>() == "ü");
}

TEST_CASE("json: duplicate keys are refused, after unescaping and at any depth") {
  CHECK(refusal(R"({"a":1,"a":1})").find("key 'a' stands twice") != std::string::npos);
  CHECK(refusal(R"({"a":1,"\u0061":2})").find("key 'a' stands twice") != std::string::npos);
  CHECK(refusal(R"({"x":[{"b":1,"c":2,"b":3}]})").find("key 'b' stands twice") !=
        std::string::npos);
  CHECK(refusal(R"({"a":{"b":1},"b":{"b":1}})") == "no error");
}

TEST_CASE("json: numbers are never rounded") {
  for (const char* bad : {"18446744073709551616", "-9223372036854775809", "1e400", "-0", "1.0",
                          "1e3", "01", "+1", "NaN", "Infinity", "-", "1.", ".5", "0x10"}) {
    CAPTURE(bad);
    CHECK(refusal(bad).find("corrupt: 'doc': ") == 0);
  }
  JsonLimits reals;
  reals.reals = true;
  CHECK(parse_json("1e-5", reals, "doc").get<double>() == 1e-5);
  CHECK(refusal("1e400", reals).find("corrupt") == 0);
  CHECK(refusal("18446744073709551616", reals).find("64-bit") != std::string::npos);
}

TEST_CASE("json: a foreign document has the numbers that Python reads") {
  JsonLimits foreign;
  foreign.foreign = true;
  const auto parse = [&](std::string_view text) { return parse_json(text, foreign, "doc"); };
  const Json value = parse(
      R"({"a":NaN,"b":[Infinity,-Infinity , 1e0,-1e000,1e999,-1e999],"c":"NaN, \" Infinity",)"
      R"("d":1000000000000000019884624838656,"e":-0,"f":{"__float__":"Infinity"},)"
      R"("g":{"__float__":"-Infinity","x":1},"h":{"__float__":"7"},"i":1e-999,"Infinity":2})");
  CHECK(std::isnan(value["a"].get<double>()));
  const double inf = HUGE_VAL;
  CHECK(value["b"] == Json{inf, -inf, 1.0, -1.0, inf, -inf});
  CHECK(value["c"] == "NaN, \" Infinity");
  CHECK(value["d"].get<double>() == 1e30);
  CHECK(value["e"] == 0);
  CHECK(value["f"].get<double>() == inf);
  CHECK(value["g"].is_object());
  CHECK(value["h"].is_object());
  CHECK(value["i"] == 0.0);
  CHECK(value["Infinity"] == 2);
  CHECK(parse(repeat("9", 400)).get<double>() == inf);
  // Large and small are told apart by the place of the first digit, however it is written.
  const std::pair<std::string, double> far[] = {
      {"0." + repeat("0", 400) + "1", 0},       {"-0." + repeat("0", 400) + "1", 0},
      {repeat("9", 400) + "e-50", inf},         {"0." + repeat("0", 400) + "1e900", inf},
      {"-" + repeat("9", 400) + ".5e-9", -inf}, {repeat("9", 20) + "e-400", 0},
      {"1e99999999999999999999", inf},          {"-1e+99999999999999999999", -inf},
      {"1e-99999999999999999999", 0},           {repeat("9", 400) + "e-390", 1e10},
      {"0." + repeat("0", 400) + "1e401", 1}};
  for (const auto& [written, number] : far) {
    const std::string& text = written;
    CAPTURE(text);
    CHECK(parse(text).get<double>() == number);
  }
  CHECK(parse("-Infinity").get<double>() == -inf);

  // What Python refuses is refused, and so is a number that somebody asks for and cannot use.
  for (const char* bad :
       {"5NaN", "NaN5",     "-NaN",       "NaN NaN",    "+Infinity", "Infinity.0", "Infinit",
        "nan",  "infinity", "1.e999",     "01e999",     "-e999",     "1e999x",     "[NaN",
        "N",    "1e",       "--Infinity", "\"Infinity", "{NaN:1}",   "1e99.9"}) {
    CAPTURE(bad);
    CHECK(refusal(bad, foreign).find("corrupt: 'doc': ") == 0);
  }
  const JsonObject object(value, "doc");
  CHECK(test::error_of([&] { object.real("a"); }) ==
        "corrupt: doc: field 'a': expected a finite number, got NaN");
  CHECK(test::error_of([&] { object.unsigned_integer("d"); }) ==
        "corrupt: doc: field 'd': expected an unsigned integer, got 1e+30");
  CHECK(test::error_of([&] { object.string("f"); }).find("field 'f'") != std::string::npos);
  CHECK(signed_real(inf) == Json{{"__float__", "Infinity"}});
  CHECK(signed_real(0.5) == "0x1p-1");
  CHECK(shown_json(value["b"][1]) == "-Infinity");
}

TEST_CASE("json: what is not exactly one UTF-8 document is refused") {
  for (const std::string& bad :
       {std::string(), std::string(" "), std::string("{} {}"), std::string("{}x"),
        std::string("\xEF\xBB\xBF{}"), std::string("{}\0", 3), std::string("/**/{}"),
        std::string("[1,]"), std::string("{\"a\":\"\xff\"}"), std::string("\"\xc0\xaf\""),
        std::string("\"\xed\xa0\x80\""), std::string(R"("\ud800")"),
        std::string(R"("\udc00\ud800")"), std::string("\"\x01\""), std::string("{'a':1}"),
        std::string("{a:1}"), std::string("[1"), std::string("{\"a\":}")}) {
    CAPTURE(bad);
    CHECK(refusal(bad).find("corrupt: 'doc': ") == 0);
  }
}

TEST_CASE("json: limits hold before memory is spent") {
  CHECK(refusal(repeat("[", 100'000)).find("expected at most 32 nested levels") !=
        std::string::npos);
  CHECK(refusal(repeat(R"({"a":)", 100'000)).find("32 nested levels") != std::string::npos);
  JsonLimits limits;
  limits.string_bytes = 8;
  CHECK(refusal(R"("123456789")", limits).find("strings of at most 8 bytes") != std::string::npos);
  CHECK(refusal(R"({"123456789":1})", limits).find("strings of at most 8 bytes") !=
        std::string::npos);
  limits.keys = 3;
  CHECK(refusal("[1,2,3]", limits).find("at most 3 values") != std::string::npos);
  limits.bytes = 4;
  CHECK(refusal("[1,2]", limits).find("at most 4 bytes of JSON, got 5") != std::string::npos);
}

TEST_CASE("json: truncation at every byte is an error, never a value") {
  const std::string text = R"({"a":[1,{"b":"c\u00e9"}],"d":null})";
  for (std::size_t length = 0; length < text.size(); ++length) {
    CHECK(refusal(text.substr(0, length)).find("corrupt") == 0);
  }
}

TEST_CASE("canonical json: sorted keys, no white space, no real numbers") {
  CHECK(canonical_json(parse_json(R"({ "b" : [1, 2], "a" : "ü\n" })", {}, "doc")) ==
        "{\"a\":\"ü\\n\",\"b\":[1,2]}");
  CHECK(test::error_of([] { canonical_json(Json{{"a", 1.5}}); }).find("internal") == 0);
}

TEST_CASE("real numbers are written as RFC 8785 says, and read back to the same double") {
  // The table of its appendix B, and the edges of the forms.
  const std::pair<double, const char*> cases[] = {
      {0.0, "0"},
      {-0.0, "0"},
      {5e-324, "5e-324"},
      {-5e-324, "-5e-324"},
      {1.7976931348623157e308, "1.7976931348623157e+308"},
      {9007199254740992, "9007199254740992"},
      {295147905179352830000.0, "295147905179352830000"},
      {9.999999999999997e22, "9.999999999999997e+22"},
      {1e23, "1e+23"},
      {1.0000000000000001e23, "1.0000000000000001e+23"},
      {999999999999999700000.0, "999999999999999700000"},
      {1e21, "1e+21"},
      {9.999999999999997e-7, "9.999999999999997e-7"},
      {0.000001, "0.000001"},
      {333333333.3333332, "333333333.3333332"},
      {-0.0000033333333333333333, "-0.0000033333333333333333"},
      {1424953923781206.2, "1424953923781206.2"},
      {1e-7, "1e-7"},
      {100, "100"},
      {1.5, "1.5"}};
  const JsonLimits limits{.reals = true, .long_integers = true};
  for (const auto& [value, text] : cases) {
    CHECK(canonical_json_with_reals(Json(value)) == text);
    CHECK(parse_json(text, limits, "x").get<double>() == value);
    CHECK(JsonText::parse(text).text() == text);
  }
  const Json nested = {
      {"b", {1.0, -1, 2.5, "x\n"}}, {"a", {{"c", nullptr}}}, {"e", Json::object()}};
  CHECK(canonical_json_with_reals(nested) == R"({"a":{"c":null},"b":[1,-1,2.5,"x\n"],"e":{}})");
  CHECK(test::error_of([] {
          (void)canonical_json_with_reals(Json(std::numeric_limits<double>::infinity()));
        }).starts_with("internal"));
  CHECK(test::error_of([] {
          parse_json("100000000000000000000", {.reals = true}, "x");
        }).starts_with("corrupt"));
}

TEST_CASE("hex floats: exact both ways, one spelling") {
  for (const double value : {1e-5, 10000.0, 1.0 / 3, 0.0, -2.5, 5e-324, 1.7976931348623157e308}) {
    CHECK(real_from_hex(real_to_hex(value), "x") == value);
  }
  CHECK(real_to_hex(1e-5) == "0x1.4f8b588e368f1p-17");
  for (const char* bad : {"", "1", "0x1.80p+1", "0X1.8P+1", "inf", "nan", " 0x1p+0", "0x1p+0 "}) {
    CHECK(test::error_of([&] {
            real_from_hex(bad, "x");
          }).find("corrupt: x: expected a hex float") == 0);
  }
}

TEST_CASE("json object: each wrong field is named with what was expected and found") {
  const Json value =
      parse_json(R"({"s":"t","n":5,"neg":-1,"o":{},"a":[{"k":1},{"k":"x"}],"z":null})", {}, "doc");
  const JsonObject object(value, "doc");
  CHECK(object.string("s") == "t");
  CHECK(object.unsigned_integer("n") == 5);
  CHECK_FALSE(object.optional_string("z"));
  CHECK_FALSE(object.optional_string("absent"));
  CHECK(test::error_of([&] { object.string("n"); }) ==
        "corrupt: doc: field 'n': expected a string, got number");
  CHECK(test::error_of([&] { object.string("q"); }) == "corrupt: doc: field 'q': is missing");
  CHECK(test::error_of([&] {
          object.unsigned_integer("neg");
        }).find("expected an unsigned integer, got -1") != std::string::npos);
  CHECK(test::error_of([&] {
          object.unsigned_integer("n", 4);
        }).find("expected at most 4, got 5") != std::string::npos);
  CHECK(test::error_of([&] { object.objects("a")[1].unsigned_integer("k"); }) ==
        "corrupt: doc: a[1]: field 'k': expected an unsigned integer, got \"x\"");
  CHECK(test::error_of([&] {
          object.allow_only({"s", "n", "neg", "o", "a"});
        }).find("field 'z': is unknown") != std::string::npos);
}

TEST_CASE(
    "json: the name of a document is shown quoted once, and what controls a terminal escaped") {
  const std::string name = "a\x1b[31m.json";
  for (const std::string& subject : {name, quote(name)}) {
    const std::string bad = test::error_of([&] { (void)parse_json("{", {}, subject); });
    CHECK(bad.find("corrupt: 'a\\x1b[31m.json': bad JSON") == 0);
  }
  const Json document = parse_json("{}", {}, name);
  const auto refused = [&](const auto& ask) {
    const std::string said = test::error_of([&] { ask(JsonObject(document, name)); });
    CHECK(said.find('\x1b') == std::string::npos);
    CHECK(said.find("a\\x1b[31m.json: ") != std::string::npos);
  };
  refused([](const JsonObject& object) { (void)object.string("name"); });
  refused([](const JsonObject& object) { object.require_schema(1, ""); });
  CHECK(test::error_of([&] { (void)JsonObject(Json(1), name); }).find('\x1b') == std::string::npos);
}

TEST_CASE("json object: a digest that is none is damage, not a wrong argument") {
  const std::string good = "sha256:" + std::string(64, 'a');
  const Json value = {{"digest", good}, {"digests", {good, good}}};
  const JsonObject object(value, "doc");
  CHECK(object.digest("digest").to_string() == good);
  CHECK(object.digests("digests") == std::vector{object.digest("digest"), object.digest("digest")});
  for (const std::string& bad : {std::string(), good.substr(1), good.substr(0, 70), good + "a",
                                 "sha512:" + good.substr(7), "sha256:" + std::string(64, 'A')}) {
    const Json wrong = {{"digest", bad}, {"digests", {good, bad}}};
    const JsonObject wrong_object(wrong, "doc");
    CHECK(test::error_of([&] {
            wrong_object.digest("digest");
          }).starts_with("corrupt: doc: field 'digest': expected sha256: and 64 "));
    CHECK(test::error_of([&] {
            wrong_object.digests("digests");
          }).starts_with("corrupt: doc: field 'digests': entry 1: expected sha256: and 64 "));
  }
}
