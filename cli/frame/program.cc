// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/program.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/frame/command_table.h"
#include "cli/frame/help.h"
#include "cli/frame/train_program.h"
#include "format/base/fail.h"

namespace organ::cli {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitute = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row[b.size()];
}

// CLI11 reports a misspelt command as an extra argument; name the nearest one instead.
std::optional<std::string> nearest_command(const CLI::App& app, std::string_view word) {
  std::optional<std::string> best;
  std::size_t best_distance = 3;
  const auto consider = [&](const std::string& name) {
    const std::size_t distance = edit_distance(word, name);
    if (distance < best_distance) {
      best_distance = distance;
      best = name;
    }
  };
  for (const CLI::App* sub : app.get_subcommands({})) consider(sub->get_name());
  for (const CommandGroup& group : command_groups()) {
    for (const CommandGroup::Entry& entry : group.commands) consider(std::string(entry.name));
  }
  return best;
}

bool known_command(const CLI::App& app, std::string_view word) {
  const auto subcommands = app.get_subcommands({});
  return std::any_of(subcommands.begin(), subcommands.end(),
                     [&](const CLI::App* sub) { return sub->get_name() == word; });
}

int report(const Context& context, const Error& error) {
  const int code = exit_code(error.code());
  if (context.json) {
    nlohmann::json record = {
        {"schema_version", 1},
        {"message_type", "exit_error"},
        {"code", to_string(error.code())},
        {"exit_code", code},
        {"message", error.what()},
        {"hint", error.hint().empty() ? nlohmann::json() : nlohmann::json(error.hint())}};
    std::cerr << record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
  } else {
    std::cerr << "organ: " << error.what() << '\n';
    if (!error.hint().empty()) std::cerr << "hint: " << error.hint() << '\n';
  }
  return code;
}

int hand_over(const Context& context, char** argv) {
  try {
    exec_train_program(argv);
  } catch (const Error& error) {
    return report(context, error);
  }
}

int parse_and_run(CLI::App& app, const Context& context, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    const CLI::App* deepest = &app;
    while (!deepest->get_subcommands().empty()) deepest = deepest->get_subcommands().front();
    std::cout << deepest->help() << std::flush;
    return std::cout ? 0 : 1;
  } catch (const CLI::CallForVersion& version) {
    std::cout << version.what() << std::endl;
    return 0;
  } catch (const CLI::ParseError& error) {
    return report(context, Error(ErrorCode::invalid_argument, escape_text(error.what()),
                                 "organ COMMAND --help shows the options"));
  } catch (const Error& error) {
    return report(context, error);
  } catch (const std::bad_alloc&) {
    return report(context, Error(ErrorCode::io, "out of memory"));
  } catch (const std::exception& error) {
    return report(context, Error(ErrorCode::internal, escape_text(error.what()),
                                 "this is a defect of organ; please report it"));
  }
  std::cout << std::flush;
  if (!std::cout) {
    const std::string outcome = context.done.empty() ? "" : ", but " + context.done;
    return report(context, Error(ErrorCode::io, "standard output: write failed" + outcome));
  }
  return context.exit_code;
}

// Where the caller closed one of the first three descriptors, the next file that is opened would
// get its number, and what is printed would go into that file.
void occupy_standard_descriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) != -1 || errno != EBADF) continue;
    // The wrong way round: reading and writing fail as they do on a closed one.
    if (::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) std::abort();
  }
}

}  // namespace

int run_program(std::span<void (*const)(Command&, Context&)> commands, int argc, char** argv) {
  occupy_standard_descriptors();
  std::ios::sync_with_stdio(false);
  Context context;
  CLI::App app{"donor organs: cut, train, sign, publish, check and transplant transformer layers",
               "organ"};
  app.set_version_flag("--version", "organ " ORGAN_VERSION);
  app.require_subcommand(1);
  Command program(app);
  for (const auto add : commands) add(program, context);
  show_groups(app);
  if (argc == 3 && std::string_view(argv[1]) == "--dump-help" &&
      std::string_view(argv[2]) == "json") {
    std::cout << dump_help(app).dump(1) << std::endl;
    return std::cout ? 0 : 1;
  }
  if (argc > 1 && argv[1][0] != '-' && !known_command(app, argv[1])) {
    if (!train_summary(argv[1]).empty()) return hand_over(context, argv);
    const auto nearest = nearest_command(app, argv[1]);
    return report(context, Error(ErrorCode::invalid_argument, quote(argv[1]) + " is not a command",
                                 nearest ? "did you mean '" + *nearest + "'?"
                                         : "organ --help lists the commands"));
  }
  return parse_and_run(app, context, argc, argv);
}

}  // namespace organ::cli
