// SPDX-License-Identifier: Apache-2.0
// JSON from strangers: text only, limits first, duplicate keys refused, integers exact.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "format/base/json_text.h"

namespace organ {

using Json = nlohmann::json;
class Digest;

// What a document may be; one that is more is refused as corrupt. The defaults are those of
// organ.json, but for its reals.
struct JsonLimits {
  std::uint64_t bytes = std::uint64_t{16} << 20;         // of the text
  unsigned depth = 32;                                   // objects and arrays inside one another
  std::uint64_t string_bytes = std::uint64_t{64} << 10;  // of one string or key, unescaped
  std::uint64_t keys = 1'000'000;                        // keys and array elements together
  bool reals = false;  // numbers with a point or an exponent; NaN never
  // A document of other people, with the numbers that Python's json module reads: reals; NaN,
  // Infinity and -Infinity, bare or as transformers 5 writes them ({"__float__": "Infinity"});
  // integers beyond 64 bits, as the nearest real; -0. What asks for such a number is told its name.
  bool foreign = false;
  // Integers beyond 64 bits are reals too: RFC 8785 writes a real below 1e21 without an exponent.
  bool long_integers = false;
};

// Receives the events of parse_json_events in document order. Throw Error to refuse.
class JsonEvents {
 public:
  virtual ~JsonEvents() = default;
  virtual void null() = 0;
  virtual void boolean(bool value) = 0;
  virtual void integer(std::int64_t value) = 0;            // negative numbers
  virtual void unsigned_integer(std::uint64_t value) = 0;  // the rest
  virtual void real(double value) = 0;  // only with limits.reals; not finite only with foreign
  virtual void string(std::string&& value) = 0;
  virtual void key(std::string&& value) = 0;
  virtual void start_object() = 0;
  virtual void end_object() = 0;
  virtual void start_array() = 0;
  virtual void end_array() = 0;
};

// One JSON text, UTF-8 without BOM or NUL. Throws corrupt with `subject` (the name of a file,
// quoted or not, of which control characters are escaped here and in JsonObject), the byte offset
// and the reason: bad UTF-8, lone surrogate escapes, comments, trailing bytes, a limit passed, an
// integer beyond 64 bits or -0 in a document that is not foreign, a duplicate key in one object
// (compared after unescaping). Memory stays proportional to nesting and key bytes, of foreign
// documents also to their length; no recursion.
void parse_json_events(std::string_view text, const JsonLimits& limits, std::string_view subject,
                       JsonEvents& events);

// The same as a value.
Json parse_json(std::string_view text, const JsonLimits& limits, std::string_view subject);

// Canonical text: keys sorted bytewise, no white space, non-ASCII kept as UTF-8; bytes that are no
// UTF-8 (names of files) become U+FFFD, here and in pretty_json. Throws internal when the value
// holds a real number: signed documents have none.
std::string canonical_json(const Json& value);

// How a real number of a foreign document is signed: its hex float, or {"__float__": "Infinity"},
// which is what transformers 5 writes of it.
Json signed_real(double value);

// A value on one line for people; a number that is not finite as Python spells it.
std::string shown_json(const Json& value);

// canonical_json() with real numbers, finite ones, as RFC 8785 writes them: the shortest digits
// that read back to the same double, in ECMAScript's form (1, 0.25, 1e-7, 1e+21).
std::string canonical_json_with_reals(const Json& value);

bool holds_real(const Json& value);  // at any depth; 1.0 is one

// Between a value and its canonical text, real numbers included.
JsonText json_text(const Json& value);
// What is signed by its fields holds no real number; throws as canonical_json does.
JsonText json_text_without_reals(const Json& value);
Json json_of(const JsonText& text);

// Indented text for people, with a final newline.
std::string pretty_json(const Json& value);

// A finite real number as a C99 hex float string, and back: signed layer fields hold reals so.
std::string real_to_hex(double value);
double real_from_hex(std::string_view text, std::string_view subject);

// Typed access to one object of a parsed document; every failure is a corrupt Error that names
// the document, the path, what was expected and what was found. Borrows the value and the texts.
class JsonObject {
 public:
  // `path` names the document (and the place in it) in messages. Throws corrupt when the value is
  // no object.
  JsonObject(const Json& value, std::string path);

  const std::string& path() const { return path_; }
  const Json& value() const { return *value_; }
  bool has(std::string_view key) const;        // null counts
  const Json& at(std::string_view key) const;  // present, maybe null
  bool is_null(std::string_view key) const;    // absent or null

  std::string string(std::string_view key) const;
  // Throws unless it is this string.
  void require_string(std::string_view key, std::string_view expected) const;
  // Throws for negative numbers and reals (1.0 too), and above `max`.
  std::uint64_t unsigned_integer(std::string_view key, std::uint64_t max = INT64_MAX) const;
  bool boolean(std::string_view key) const;
  double real(std::string_view key) const;  // a JSON number of either kind, finite
  JsonObject object(std::string_view key) const;
  std::vector<JsonObject> objects(std::string_view key) const;               // array of objects
  std::vector<std::string> strings(std::string_view key) const;              // array of strings
  std::vector<std::uint64_t> unsigned_integers(std::string_view key) const;  // all 64 bits
  Digest digest(std::string_view key) const;                // sha256: and 64 hex digits
  std::vector<Digest> digests(std::string_view key) const;  // array of them

  // Absent or null gives nullopt; a wrong type still throws.
  std::optional<std::string> optional_string(std::string_view key) const;
  std::optional<std::uint64_t> optional_unsigned(std::string_view key,
                                                 std::uint64_t max = INT64_MAX) const;
  std::optional<bool> optional_boolean(std::string_view key) const;
  std::optional<double> optional_real(std::string_view key) const;

  // Throws unsupported_version, with `hint`, unless `schema_version` is the one that is known.
  void require_schema(std::uint64_t known, std::string_view hint) const;
  // Throws unless every key is in the list.
  void allow_only(std::initializer_list<std::string_view> keys) const;
  // Throws corrupt "DOCUMENT: field 'PATH.key': MESSAGE".
  [[noreturn]] void fail_field(std::string_view key, std::string_view message) const;

 private:
  const Json* value_;
  std::string path_;  // "organ.json: files[2]"
};

}  // namespace organ
