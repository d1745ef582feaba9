// SPDX-License-Identifier: Apache-2.0
// What every command shares: global options, output, exit code. One command lives in one file
// cli/<noun>_<verb>.cc or cli/<verb>.cc that defines `void add_<name>(CLI::App&, Context&)`; it
// joins the modules and holds no domain logic.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "format/base/error.h"
#include "format/organ/organ_source.h"

namespace CLI {
class App;
}

namespace organ::cli {

// The state of one run. Commands write data to stdout through print/print_json and everything
// else to stderr through note/warn; text from files must have gone through escape_text.
class Context {
 public:
  // Global options, on every command (add_globals).
  bool json = false;
  bool quiet = false;
  int verbose = 0;
  std::optional<bool> progress;                   // --progress / --no-progress
  std::optional<std::filesystem::path> registry;  // --registry

  int exit_code = 0;  // a command raises it by worsen(); "the worst finding wins"

  void print(std::string_view line) const;  // stdout, adds a newline
  // One record: schema_version 1 and "command" are put in front of `record`'s own fields.
  void print_json(std::string_view command, nlohmann::json record) const;
  void note(std::string_view line) const;    // stderr unless --quiet
  void warn(std::string_view line) const;    // stderr, "warning: "
  void detail(std::string_view line) const;  // stderr with -v
  void worsen(ErrorCode code);               // exit_code of the worst class seen

  // --registry, ORGAN_REGISTRY, $XDG_DATA_HOME/organ/registry, ~/.local/share/organ/registry.
  std::filesystem::path registry_path() const;
  bool show_progress() const;  // asked for, or stderr is a terminal, TERM not dumb, no NO_COLOR
};

// Adds -q -v --json --registry --[no-]progress to a command and sets its description, examples
// and the exit-code footer. `run` is called after parsing; what it throws ends in main().
CLI::App* add_command(CLI::App& parent, Context& context, const std::string& name,
                      const std::string& description, const std::string& examples);
// The same for a command of organ-train, with the description of command_table.h.
CLI::App* add_train_command(CLI::App& parent, Context& context, const std::string& name,
                            const std::string& examples);
// A word that only holds commands, such as `organ key`.
CLI::App* add_group(CLI::App& parent, const std::string& name, const std::string& description);
void on_run(CLI::App* command, std::function<void()> run);

// Precedence of exit codes when several findings meet: 4 corrupt > 5 untrusted > 3 incompatible >
// 6 not found > 7 locked > 1 > 0.
int worse_exit_code(int a, int b);

// A findings list as lines on stderr and as JSON.
nlohmann::json to_json(const std::vector<format::Finding>& findings);
void show_findings(const std::vector<format::Finding>& findings);

// Where organ-train lies, if it was built.
std::optional<std::filesystem::path> find_train_program();

// What `organ-train ARGUMENT...` prints on stdout, 64 KiB at most. Throws io when it cannot be
// started or fails; its stderr is ours.
std::string output_of(const std::filesystem::path& program, std::vector<std::string> arguments);

// Runs `organ-train` (beside this executable, else in libexec) with the same arguments and
// environment; does not return.
[[noreturn]] void exec_train_program(char** argv);

}  // namespace organ::cli
