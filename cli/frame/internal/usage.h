// SPDX-License-Identifier: Apache-2.0
// What a command line means before it is parsed, and what is wrong with one that was refused.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "format/base/error.h"

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace organ::cli {

// Where the words of a command line lead: the deepest command that they name, and the place of the
// word that names none of the commands below it, where one does; the place of the first option on
// the way that is none, whose value that word may be.
struct Place {
  const CLI::App* command;
  std::optional<std::size_t> unknown, unknown_option;
};
Place find_place(const CLI::App& program, const std::vector<std::string>& words);

// `word` stands where a command of `app` is expected; the hint is the one that was meant, if any is
// near.
Error unknown_command(const CLI::App& app, const std::string& word);

// `word` is left over: no option and no argument of the command.
Error unexpected(const CLI::App& command, const std::string& word);

// What is wrong with a command line that CLI11 refused with `error`, in the words of this program.
Error usage_error(const CLI::App& program, const CLI::App& command, const CLI::ParseError& error);

// `error`, which ends the program. Of a word that names nothing, and that a shell would have taken
// for a pattern, it says so: that is what a shell hands over where nothing matches.
Error with_pattern_told(const Error& error, const std::vector<std::string>& words);

}  // namespace organ::cli
