// SPDX-License-Identifier: Apache-2.0
// Options whose text is one of some names, or a path.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "cli/frame/command.h"
#include "format/base/fail.h"

namespace organ::cli {

// The value that an option's text means, or invalid_argument with what was expected.
// `expected` is words for people; `text` is quoted and escaped in the message.
template <typename T>
T parsed(std::optional<T> value, std::string_view option, const std::string& text,
         std::string_view expected) {
  if (value) return *value;
  fail(ErrorCode::invalid_argument, "{}: {} is unknown, expected {}", option, quote(text),
       expected);
}

// given_path(), and invalid_argument for a `~` or `~name` that the caller's shell has not expanded
// (none does behind a `=`): a folder of that name would be made where the command runs. One that is
// there, or ./~, is meant.
// Nothing else of the path is looked at; it need not be there.
std::filesystem::path typed_path(std::string_view text);

// Receives the text of an option, and what was expected, for a message.
using SetText = std::function<void(const std::string& text, const std::string& expected)>;

// An option that `set` receives while the command line is parsed. `names`, "a|b|c", is what its
// help shows as its value, `standard` as its default.
// "a, b or c" is what it is told as expected; what it throws ends the program.
void add_option_of_names(Command& command, const std::string& option, const std::string& names,
                         const std::string& standard, const std::string& description, SetText set);

// The same for `value`, borrowed: it is the default and is set by `parse`, which gives nullopt for
// what is none of the names.
template <typename T>
void add_choice(Command& command, const std::string& option, T& value,
                std::optional<T> (*parse)(std::string_view), const std::string& names,
                const std::string& description) {
  add_option_of_names(
      command, option, names, std::string(to_string(value)), description,
      [&value, option, parse](const std::string& text, const std::string& expected) {
        value = parsed(parse(text), option, text, expected);
      });
}

}  // namespace organ::cli
