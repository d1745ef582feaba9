// SPDX-License-Identifier: Apache-2.0
// A JSON value as text, for records whose fields other documents define.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "format/base/error.h"

#pragma GCC visibility push(default)

namespace organ {

// One JSON value in its canonical text: keys sorted bytewise, no white space, real numbers as RFC
// 8785 writes them, so that equal values are equal texts and have one digest. Immutable value.
class JsonText {
 public:
  JsonText() = default;  // {}

  // Any spelling of a value within the limits of organ.json (16 MiB, 32 levels). Throws corrupt:
  // no JSON, a key twice.
  static JsonText parse(std::string_view text);

  // Takes text that is canonical already, for those who wrote it so; nothing is looked at, and
  // other text makes every comparison and digest wrong.
  static JsonText from_canonical(std::string text) { return JsonText(std::move(text)); }

  const std::string& text() const { return text_; }
  // Equal texts: 1 and 1.0 are one value, and so are the keys of an object in any order.
  bool operator==(const JsonText&) const = default;

 private:
  explicit JsonText(std::string text) : text_(std::move(text)) {}
  std::string text_ = "{}";
};

}  // namespace organ

#pragma GCC visibility pop
