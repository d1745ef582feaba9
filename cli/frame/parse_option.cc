// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/parse_option.h"

#include <utility>

#include "format/base/file_system.h"
#include "format/base/path_status.h"

namespace organ::cli {
namespace {

// "a|b|c" as "a, b or c".
std::string in_words(const std::string& names) {
  std::string words;
  for (std::size_t at = 0; at < names.size(); ++at) {
    if (names[at] != '|') {
      words += names[at];
    } else {
      words += names.find('|', at + 1) == std::string::npos ? " or " : ", ";
    }
  }
  return words;
}

}  // namespace

std::filesystem::path typed_path(std::string_view text) {
  std::filesystem::path path = given_path(text);
  if (path.begin()->native().starts_with('~') && !is_there(*path.begin())) {
    throw Error(ErrorCode::invalid_argument, quote(text) + ": no shell has expanded its ~",
                "none does behind a = or in quotes: write \"$HOME\"; ./~… is that very name");
  }
  return path;
}

void add_option_of_names(Command& command, const std::string& option, const std::string& names,
                         const std::string& standard, const std::string& description, SetText set) {
  const auto receive = [set = std::move(set), expected = in_words(names)](const std::string& text) {
    set(text, expected);
  };
  command.add_parsed_option(option, receive, description).value_name(names).default_text(standard);
}

}  // namespace organ::cli
