// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/program.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/frame/command_table.h"
#include "cli/frame/internal/help.h"
#include "cli/frame/internal/usage.h"
#include "cli/frame/interrupt.h"
#include "cli/frame/train_program.h"
#include "format/base/fail.h"

namespace organ::cli {
namespace {

std::string text_of(const Context& context, const Error& error) {
  if (context.json || context.json_errors) {
    const nlohmann::json record = {
        {"schema_version", 1},
        {"message_type", "exit_error"},
        {"code", to_string(error.code())},
        {"exit_code", exit_code(error.code())},
        {"message", error.what()},
        {"hint", error.hint().empty() ? nlohmann::json() : nlohmann::json(error.hint())}};
    return record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  }
  const std::string hint = error.hint().empty() ? "" : "hint: " + error.hint() + "\n";
  return std::string("organ: ") + error.what() + "\n" + hint;
}

int report(const Context& context, const Error& error) {
  std::cerr << text_of(context, error);
  return exit_code(error.code());
}

int parse_and_run(CLI::App& app, const Context& context, const std::vector<std::string>& words) {
  const CLI::App& command = *find_place(app, words).command;
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));  // CLI11 takes from the end
  } catch (const CLI::CallForHelp&) {
    std::cout << command.help();
    return 0;
  } catch (const CLI::CallForVersion& version) {
    if (context.json_errors) {  // a word after --version is not parsed
      context.print_json("version", {{"version", ORGAN_VERSION}});
    } else {
      std::cout << version.what() << '\n';
    }
    return 0;
  } catch (const CLI::ParseError& error) {
    return report(context, usage_error(app, command, error));
  }
  return context.exit_code;
}

// `organ help COMMAND` as `organ COMMAND --help`; whether it was that.
bool understand_help(const CLI::App& program, std::vector<std::string>& words) {
  const Place place = find_place(program, words);
  if (place.command != &program || !place.unknown || words[*place.unknown] != "help") return false;
  words.erase(words.begin() + static_cast<std::ptrdiff_t>(*place.unknown));
  words.emplace_back("--help");
  return true;
}

// The first word between the names that led to the command and `--help`; an option may be anywhere,
// with its value.
std::optional<std::string> surplus(const CLI::App& command, const std::vector<std::string>& words) {
  std::size_t depth = 0;
  for (const CLI::App* app = command.get_parent(); app != nullptr; app = app->get_parent()) ++depth;
  const bool has_options =
      std::any_of(words.begin(), words.end() - 1, [](const auto& word) { return word[0] == '-'; });
  if (has_options || words.size() <= depth + 1) return std::nullopt;
  return words[depth];
}

// `organ help help`, and `organ help --help`.
bool asks_about_help(const CLI::App& program, const std::vector<std::string>& words) {
  const Place place = find_place(program, words);
  if (place.command != &program || !place.unknown || words[*place.unknown] != "help") return false;
  const std::vector<std::string> rest(
      words.begin() + static_cast<std::ptrdiff_t>(*place.unknown) + 1, words.end());
  const Place inner = find_place(program, rest);
  if (inner.command != &program) return false;
  if (inner.unknown) return rest[*inner.unknown] == "help";
  return std::find(rest.begin(), rest.end(), "--help") != rest.end() ||
         std::find(rest.begin(), rest.end(), "-h") != rest.end();
}

int run(CLI::App& app, const Context& context, std::vector<std::string> words) {
  if (words == std::vector<std::string>{"--dump-help", "json"}) {
    std::cout << dump_help(app).dump(1) << '\n';
    return 0;
  }
  if (asks_about_help(app, words)) {
    std::cout << help_of_help();
    return 0;
  }
  const bool asks_for_help = understand_help(app, words);
  const Place place = find_place(app, words);
  if (!place.unknown) {
    const auto extra = asks_for_help ? surplus(*place.command, words) : std::nullopt;
    if (extra) return report(context, unexpected(*place.command, *extra));
    return parse_and_run(app, context, words);
  }
  const std::string& word = words[*place.unknown];
  if (place.command == &app && !train_summary(word).empty()) exec_train_program(words);
  if (place.unknown_option) {
    return report(context, unexpected(*place.command, words[*place.unknown_option]));
  }
  return report(context, unknown_command(*place.command, word));
}

// The one place where errors become exit codes.
int run_to_an_end(CLI::App& app, const Context& context, const std::vector<std::string>& words) {
  try {
    return run(app, context, words);
  } catch (const Error& error) {
    return report(context, with_pattern_told(error, words));
  } catch (const std::bad_alloc&) {
    return report(context, Error(ErrorCode::io, "out of memory"));
  } catch (const std::exception& error) {
    return report(context, Error(ErrorCode::internal, escape_text(error.what()),
                                 "this is a defect of organ; please report it"));
  }
}

// Here and nowhere else is asked whether all that was printed arrived.
int flushed(const Context& context, int code) {
  const bool good = std::cout.good();
  std::cout << std::flush;
  if (std::cout) return code;
  // Of a write that failed long before the reason is gone.
  const std::string reason = good ? fmt::format(": {}", std::strerror(errno)) : "";
  const std::string outcome = context.done.empty() ? "" : ", but " + context.done;
  return worse_exit_code(
      code,
      report(context, Error(ErrorCode::io, "standard output: write failed" + reason + outcome)));
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

bool names_json(const std::vector<std::string>& words) {
  const auto end = std::find(words.begin(), words.end(), "--");
  return std::find(words.begin(), end, "--json") != end;
}

// All that a call needs when its first word names a command: the options of all the others take
// most of the time in which the program starts.
std::span<const NamedCommand> needed(std::span<const NamedCommand> commands,
                                     const std::vector<std::string>& words) {
  for (std::size_t i = 0; i < commands.size() && !words.empty(); ++i) {
    if (commands[i].name == words.front()) return commands.subspan(i, 1);
  }
  return commands;
}

}  // namespace

int run_program(std::span<const NamedCommand> commands, int argc, char** argv) {
  occupy_standard_descriptors();
  std::ios::sync_with_stdio(false);
  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  Context context;
  context.words = words;
  context.json_errors = names_json(words);
  end_when_interrupted(text_of(context, Error(ErrorCode::cancelled, "interrupted")));
  CLI::App app{"donor organs: cut, train, sign, publish, check and transplant transformer layers",
               "organ"};
  app.set_version_flag("--version", "organ " ORGAN_VERSION);
  app.require_subcommand(1);
  Command program(app);
  program.add_global_options(context);
  for (const NamedCommand& command : needed(commands, words)) {
    command.add(program, context);
    app.get_subcommand(std::string(command.name));  // throws: its line has another name
  }
  show_groups(app);
  const int code = flushed(context, run_to_an_end(app, context, words));
  end_as_interrupted(code);
  return code;
}

}  // namespace organ::cli
