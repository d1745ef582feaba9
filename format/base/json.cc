// SPDX-License-Identifier: Apache-2.0
#include "format/base/json.h"

#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/internal/json_numbers.h"

namespace organ {
namespace {

// The subject is a name, or one that its caller has quoted.
[[noreturn]] void refuse(std::string_view subject, std::string_view reason) {
  const bool quoted = subject.starts_with('\'');
  fail(ErrorCode::corrupt, "{}: {}", quoted ? escape_text(subject) : quote(subject), reason);
}

// Between nlohmann's tokenizer and JsonEvents: counts, depth, duplicate keys, number rules.
class Guard {
 public:
  using number_integer_t = Json::number_integer_t;
  using number_unsigned_t = Json::number_unsigned_t;
  using number_float_t = Json::number_float_t;
  using string_t = Json::string_t;
  using binary_t = Json::binary_t;

  Guard(const JsonLimits& limits, std::string_view subject, JsonEvents& events,
        internal::ForeignNumbers* foreign)
      : limits_(limits), subject_(subject), events_(events), foreign_(foreign) {}

  bool null() {
    count();
    events_.null();
    return true;
  }
  bool boolean(bool value) {
    count();
    events_.boolean(value);
    return true;
  }
  bool number_integer(number_integer_t value) {
    count();
    if (value != 0) {
      events_.integer(value);
    } else if (limits_.foreign) {
      events_.unsigned_integer(0);
    } else {
      refuse(subject_, "expected an integer, got -0");
    }
    return true;
  }
  bool number_unsigned(number_unsigned_t value) {
    count();
    events_.unsigned_integer(value);
    return true;
  }
  bool number_float(number_float_t value, const string_t& text) {
    count();
    if (foreign_ != nullptr) {
      events_.real(foreign_->value_of(text, value));
      return true;
    }
    // An integer that does not fit 64 bits arrives here too.
    const bool integer =
        text.find_first_not_of("-0123456789") == string_t::npos && !limits_.long_integers;
    if (integer || !limits_.reals || !std::isfinite(value)) {
      refuse(subject_, fmt::format("expected {}, got {}",
                                   limits_.reals ? "a finite number or a 64-bit integer"
                                                 : "an integer of at most 64 bits",
                                   quote(text)));
    }
    events_.real(value);
    return true;
  }
  bool string(string_t& value) {
    count();
    check_string(value);
    events_.string(std::move(value));
    return true;
  }
  bool binary(binary_t&) { return false; }
  bool start_object(std::size_t) {
    enter();
    keys_.emplace_back();
    events_.start_object();
    return true;
  }
  bool key(string_t& value) {
    check_string(value);
    if (!keys_.back().insert(value).second) {
      refuse(subject_, fmt::format("key {} stands twice in one object", quote(value)));
    }
    events_.key(std::move(value));
    return true;
  }
  bool end_object() {
    keys_.pop_back();
    --depth_;
    events_.end_object();
    return true;
  }
  bool start_array(std::size_t) {
    enter();
    events_.start_array();
    return true;
  }
  bool end_array() {
    --depth_;
    events_.end_array();
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& e) {
    // nlohmann's text repeats input bytes; its own prefix "[json.exception…] " helps nobody.
    std::string_view reason = e.what();
    if (const auto at = reason.find("] "); at != std::string_view::npos)
      reason.remove_prefix(at + 2);
    refuse(subject_, fmt::format("bad JSON at byte {}: {}", position, escape_text(reason, 200)));
  }

 private:
  void count() {
    if (++count_ > limits_.keys) {
      refuse(subject_, fmt::format("expected at most {} values", limits_.keys));
    }
  }
  void enter() {
    count();
    if (++depth_ > limits_.depth) {
      refuse(subject_, fmt::format("expected at most {} nested levels", limits_.depth));
    }
  }
  void check_string(const string_t& value) const {
    if (value.size() > limits_.string_bytes) {
      refuse(subject_, fmt::format("expected strings of at most {} bytes, got {}",
                                   limits_.string_bytes, value.size()));
    }
  }

  const JsonLimits& limits_;
  std::string_view subject_;
  JsonEvents& events_;
  internal::ForeignNumbers* foreign_;  // of a foreign document, else null
  std::uint64_t count_ = 0;
  unsigned depth_ = 0;
  std::vector<std::set<std::string>> keys_;  // of the objects that are open
};

// Builds a value; containers that are open form a stack of pointers into their parents.
class Builder final : public JsonEvents {
 public:
  explicit Builder(bool foreign) : foreign_(foreign) {}

  void null() override { add(nullptr); }
  void boolean(bool value) override { add(value); }
  void integer(std::int64_t value) override { add(value); }
  void unsigned_integer(std::uint64_t value) override { add(value); }
  void real(double value) override { add(value); }
  void string(std::string&& value) override { add(std::move(value)); }
  void key(std::string&& value) override { key_ = std::move(value); }
  void start_object() override { open_.push_back(add(Json::object())); }
  void end_object() override {
    Json& object = *open_.back();
    open_.pop_back();
    if (!foreign_) return;
    if (const auto real = internal::tagged_real(object)) object = *real;
  }
  void start_array() override { open_.push_back(add(Json::array())); }
  void end_array() override { open_.pop_back(); }

  Json root;

 private:
  Json* add(Json value) {
    if (open_.empty()) {
      root = std::move(value);
      return &root;
    }
    Json& parent = *open_.back();
    if (parent.is_object()) return &(parent[std::move(key_)] = std::move(value));
    parent.push_back(std::move(value));
    return &parent.back();
  }

  bool foreign_;
  std::vector<Json*> open_;
  std::string key_;
};

}  // namespace

void parse_json_events(std::string_view text, const JsonLimits& limits, std::string_view subject,
                       JsonEvents& events) {
  if (text.size() > limits.bytes) {
    refuse(subject,
           fmt::format("expected at most {} bytes of JSON, got {}", limits.bytes, text.size()));
  }
  // Both are accepted in silence by the library.
  if (text.starts_with("\xEF\xBB\xBF")) refuse(subject, "expected JSON, got a byte order mark");
  if (const auto nul = text.find('\0'); nul != std::string_view::npos) {
    refuse(subject, fmt::format("bad JSON at byte {}: NUL byte", nul));
  }
  const internal::PlainNumbers plain;
  if (limits.foreign) {
    internal::ForeignNumbers numbers(text);
    Guard guard(limits, subject, events, &numbers);
    Json::sax_parse(numbers.text(), &guard);
    return;
  }
  Guard guard(limits, subject, events, nullptr);
  Json::sax_parse(text.begin(), text.end(), &guard);
}

Json parse_json(std::string_view text, const JsonLimits& limits, std::string_view subject) {
  Builder builder(limits.foreign);
  parse_json_events(text, limits, subject, builder);
  return std::move(builder.root);
}

std::string shown_json(const Json& value) {
  if (value.is_number_float() && !std::isfinite(value.get<double>())) {
    return std::string(internal::name_of(value.get<double>()));
  }
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace organ
