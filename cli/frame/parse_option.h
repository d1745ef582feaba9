// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "format/base/fail.h"

namespace organ::cli {

// The value that an option's text means, or invalid_argument with what was expected.
template <typename T>
T parsed(std::optional<T> value, std::string_view option, const std::string& text,
         std::string_view expected) {
  if (value) return *value;
  fail(ErrorCode::invalid_argument, "{}: {} is unknown, expected {}", option, quote(text),
       expected);
}

}  // namespace organ::cli
