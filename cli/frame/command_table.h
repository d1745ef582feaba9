// SPDX-License-Identifier: Apache-2.0
// Every command of the two programs, in the groups and the order in which `organ --help` shows
// them. A command of organ says in its own file what it does; those of organ-train say it here,
// because organ shows them too, and links no LibTorch.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace organ::cli {

// Commands that people look for together, under one title of the help.
struct CommandGroup {
  struct Entry {
    // The first word of the command line.
    std::string_view name;
    std::string_view train_summary = {};  // of a command of organ-train, else empty
  };
  std::string_view title;
  std::vector<Entry> commands;
};

// Made once, and lives as long as the program.
const std::vector<CommandGroup>& command_groups();

// What the command of organ-train does; empty when the name is not one of them.
std::string_view train_summary(std::string_view command);

// One row of the table that ends each help text and that --dump-help gives.
struct ExitCode {
  int code;
  std::string_view meaning;
};
inline constexpr ExitCode kExitCodes[] = {
    {0, "ok"},        {1, "failure"},   {2, "usage"},  {3, "incompatible"},  {4, "corrupt"},
    {5, "untrusted"}, {6, "not found"}, {7, "locked"}, {130, "interrupted"},
};
// "Exit codes: 0 ok, …" on two lines, as it stands at the end of each help text.
std::string exit_code_lines();

}  // namespace organ::cli
