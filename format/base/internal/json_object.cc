// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <nlohmann/json.hpp>

#include "format/base/digest.h"
#include "format/base/fail.h"
#include "format/base/json.h"

namespace organ {
namespace {

// Values that the program built itself hold natural numbers as signed integers too.
bool is_natural(const Json& value) {
  return value.is_number_unsigned() ||
         (value.is_number_integer() && value.get<std::int64_t>() >= 0);
}

// A document can be a file that somebody else named. Where it is escaped already it stays the same.
std::string shown(const std::string& path) { return escape_text(path, 2048); }

}  // namespace

JsonObject::JsonObject(const Json& value, std::string path)
    : value_(&value), path_(std::move(path)) {
  if (!value.is_object()) {
    fail(ErrorCode::corrupt, "{}: expected an object, got {}", shown(path_), value.type_name());
  }
}

void JsonObject::fail_field(std::string_view key, std::string_view message) const {
  fail(ErrorCode::corrupt, "{}: field {}: {}", shown(path_), quote(key), message);
}

bool JsonObject::has(std::string_view key) const { return value_->find(key) != value_->end(); }

const Json& JsonObject::at(std::string_view key) const {
  const auto found = value_->find(key);
  if (found == value_->end()) fail_field(key, "is missing");
  return *found;
}

bool JsonObject::is_null(std::string_view key) const {
  const auto found = value_->find(key);
  return found == value_->end() || found->is_null();
}

std::string JsonObject::string(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_string()) {
    fail_field(key, fmt::format("expected a string, got {}", value.type_name()));
  }
  return value.get<std::string>();
}

void JsonObject::require_string(std::string_view key, std::string_view expected) const {
  const std::string found = string(key);
  if (found == expected) return;
  fail_field(key, fmt::format("expected {}, got {}", quote(expected), quote(found)));
}

std::uint64_t JsonObject::unsigned_integer(std::string_view key, std::uint64_t max) const {
  const Json& value = at(key);
  if (!is_natural(value)) {
    fail_field(key, fmt::format("expected an unsigned integer, got {}",
                                escape_text(shown_json(value), 80)));
  }
  const auto number = value.get<std::uint64_t>();
  if (number > max) fail_field(key, fmt::format("expected at most {}, got {}", max, number));
  return number;
}

bool JsonObject::boolean(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_boolean()) {
    fail_field(key, fmt::format("expected true or false, got {}", value.type_name()));
  }
  return value.get<bool>();
}

double JsonObject::real(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_number()) {
    fail_field(key, fmt::format("expected a number, got {}", value.type_name()));
  }
  const auto number = value.get<double>();
  if (!std::isfinite(number)) {
    fail_field(key, fmt::format("expected a finite number, got {}", shown_json(value)));
  }
  return number;
}

JsonObject JsonObject::object(std::string_view key) const {
  return JsonObject(at(key), fmt::format("{}: {}", path_, escape_text(key, 80)));
}

std::vector<JsonObject> JsonObject::objects(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_array()) {
    fail_field(key, fmt::format("expected an array, got {}", value.type_name()));
  }
  std::vector<JsonObject> out;
  out.reserve(value.size());
  for (std::size_t i = 0; i < value.size(); ++i) {
    out.emplace_back(value[i], fmt::format("{}: {}[{}]", path_, escape_text(key, 80), i));
  }
  return out;
}

std::vector<std::string> JsonObject::strings(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_array()) {
    fail_field(key, fmt::format("expected an array, got {}", value.type_name()));
  }
  std::vector<std::string> out;
  for (const Json& element : value) {
    if (!element.is_string()) {
      fail_field(key, fmt::format("expected strings, got {}", element.type_name()));
    }
    out.push_back(element.get<std::string>());
  }
  return out;
}

std::vector<std::uint64_t> JsonObject::unsigned_integers(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_array()) {
    fail_field(key, fmt::format("expected an array, got {}", value.type_name()));
  }
  std::vector<std::uint64_t> out;
  for (const Json& element : value) {
    if (!is_natural(element)) {
      fail_field(key, fmt::format("expected unsigned integers, got {}",
                                  escape_text(shown_json(element), 80)));
    }
    out.push_back(element.get<std::uint64_t>());
  }
  return out;
}

Digest JsonObject::digest(std::string_view key) const {
  const std::string text = string(key);
  try {
    return Digest::parse(text);
  } catch (const Error&) {  // invalid_argument, for the text was somebody's choice
    fail_field(key, "expected sha256: and 64 lower-case hex digits, got " + quote(text));
  }
}

std::vector<Digest> JsonObject::digests(std::string_view key) const {
  std::vector<Digest> out;
  for (const std::string& text : strings(key)) {
    try {
      out.push_back(Digest::parse(text));
    } catch (const Error&) {
      fail_field(key, fmt::format("entry {}: expected sha256: and 64 lower-case hex digits, got {}",
                                  out.size(), quote(text)));
    }
  }
  return out;
}

std::optional<std::string> JsonObject::optional_string(std::string_view key) const {
  return is_null(key) ? std::nullopt : std::optional(string(key));
}

std::optional<std::uint64_t> JsonObject::optional_unsigned(std::string_view key,
                                                           std::uint64_t max) const {
  return is_null(key) ? std::nullopt : std::optional(unsigned_integer(key, max));
}

std::optional<bool> JsonObject::optional_boolean(std::string_view key) const {
  return is_null(key) ? std::nullopt : std::optional(boolean(key));
}

std::optional<double> JsonObject::optional_real(std::string_view key) const {
  return is_null(key) ? std::nullopt : std::optional(real(key));
}

void JsonObject::require_schema(std::uint64_t known, std::string_view hint) const {
  const std::uint64_t version = unsigned_integer("schema_version");
  if (version == known) return;
  throw Error(
      ErrorCode::unsupported_version,
      fmt::format("{}: schema version {}, this organ knows {}", shown(path_), version, known),
      std::string(hint));
}

void JsonObject::allow_only(std::initializer_list<std::string_view> keys) const {
  for (const auto& [key, unused] : value_->items()) {
    bool known = false;
    for (const std::string_view allowed : keys) known = known || key == allowed;
    if (!known) fail_field(key, "is unknown");
  }
}

}  // namespace organ
