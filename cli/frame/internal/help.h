// SPDX-License-Identifier: Apache-2.0
// What `organ --help` looks like, and the same knowledge for programs: the manual pages and the
// shell completions are made from it (cli/help/).
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace CLI {
class App;
}

namespace organ::cli {

// The parser's name of what takes slashes off a path (Command::add_path).
inline constexpr std::string_view kPathMark = "path";
// The same of what reads a number (Command::add_option).
inline constexpr std::string_view kNumberMark = "number";

// `organ help help`: it has no parser of its own.
std::string help_of_help();

// Makes the program's own help show every command of both programs in groups, with a word where
// organ-train is not installed. Organ-train's help shows its own commands only.
void show_groups(CLI::App& program);

// `organ --dump-help json`: commands, options, value names, examples, exit codes. Internal: its
// form may change with any version.
nlohmann::ordered_json dump_help(const CLI::App& program);

}  // namespace organ::cli
