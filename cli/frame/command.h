// SPDX-License-Identifier: Apache-2.0
// The command line as commands declare it. One command lives in one file <verb>.cc that defines
// `void add_<verb>(Command&, Context&)`; it joins the modules and holds no domain logic. The parser
// (CLI11) stays behind these two handles: a file that includes it takes four seconds to compile.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace organ::cli {

class Context;

// One option or positional argument, to say more about it. A handle of what the program owns.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option required() const;
  Option value_name(const std::string& name) const;  // as help shows its value: FILE, A:B, a|b|c
  // Help shows `text`, or what the target holds now, as the default.
  Option default_text(const std::string& text) const;
  Option show_default() const;
  Option many() const;  // of a vector: takes several values behind one another, up to an option
  Option within(unsigned low, unsigned high) const;  // anything else is a usage error
  Option excludes(Option other) const;               // both together are a usage error

 private:
  CLI::Option* option_;
};

// A program, a word that only holds commands, or a command. A handle of what the program owns.
class Command {
 public:
  explicit Command(CLI::App& app) : app_(&app) {}

  // The options of every command: -q -v --json --registry --trust-links --[no-]progress. Programs
  // and groups have them too, so that they may stand before the command.
  void add_global_options(Context& context);

  // A command below this one, with the global options, its examples and the exit codes at the end
  // of its help. The context must outlive the program.
  Command add_command(Context& context, const std::string& name, const std::string& description,
                      const std::string& examples);
  // The same for a command of organ-train, with the description of command_table.h.
  Command add_train_command(Context& context, const std::string& name, const std::string& examples);
  // A word that only holds commands, such as `organ key`: the examples are of these.
  Command add_group(Context& context, const std::string& name, const std::string& description,
                    const std::string& examples);

  // `names`: "-o,--option", or a word without dashes for the next positional argument. `target` is
  // set while the command line is parsed and must live as long as the program; text that is no T is
  // a usage error. T is a string, path, double, int, unsigned, 64-bit integer, an optional of these
  // or a vector of strings (command.cc has the list), which an option gets one each time that it is
  // given, unless it takes many().
  template <typename T>
  Option add_option(const std::string& names, T& target, const std::string& description);
  // The same for a path, or what may be one: slashes at its end are taken off, as shells put them
  // there, and --dump-help marks it. T is a string, path, an optional of these or a vector of
  // strings.
  template <typename T>
  Option add_path(const std::string& names, T& target, const std::string& description);
  Option add_flag(const std::string& names, bool& target, const std::string& description);
  // `parse` receives the text while the command line is parsed; it may throw Error.
  Option add_parsed_option(const std::string& names,
                           const std::function<void(const std::string&)>& parse,
                           const std::string& description);

  // Whether the command line gave the option; once it is parsed.
  bool given(const std::string& name) const;

  // `run` is called after parsing, unless a command below this one was given; what it throws ends
  // in run_program.
  void on_run(std::function<void()> run);

 private:
  CLI::App* app_;
};

// A line of a program's table: the word that people write, and what declares the command.
struct NamedCommand {
  std::string_view name;
  void (*add)(Command&, Context&);
};

}  // namespace organ::cli
