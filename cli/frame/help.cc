// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/internal/help.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/core.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/frame/command_table.h"
#include "cli/frame/internal/formatter.h"
#include "cli/frame/train_program.h"

namespace organ::cli {
namespace {

using nlohmann::ordered_json;

const CLI::App* command_of(const CLI::App& program, std::string_view name) {
  for (const CLI::App* command : program.get_subcommands({})) {
    if (command->get_name() == name) return command;
  }
  return nullptr;
}

// organ-train has the commands whose summary stands in the table; organ never has one.
bool is_train_program(const CLI::App& program) {
  for (const CLI::App* command : program.get_subcommands({})) {
    if (!train_summary(command->get_name()).empty()) return true;
  }
  return false;
}

// A name and, from a column on, what it means; below it where the name is too long.
std::string help_entry(const std::string& name, std::string_view meaning, std::size_t column) {
  constexpr std::size_t kWithin = 6;  // of a name that is longer than a line
  std::string text = wrapped("  " + name, 0, kWithin);
  if (meaning.empty()) return text + "\n";
  if (text.size() >= column) text += "\n";
  const std::size_t used = text.ends_with('\n') ? 0 : text.size();
  return text + std::string(column - used, ' ') + wrapped(meaning, column, column) + "\n";
}

std::string command_line(std::string_view name, std::string_view summary) {
  constexpr std::size_t kColumn = 14;
  return help_entry(std::string(name), summary, kColumn);
}

std::string group_text(const CLI::App& program, const CommandGroup& group) {
  std::string lines;
  bool elsewhere = false;
  for (const CommandGroup::Entry& entry : group.commands) {
    if (const CLI::App* command = command_of(program, entry.name)) {
      lines += command_line(entry.name, command->get_description());
    } else if (!is_train_program(program)) {
      lines += command_line(entry.name, entry.train_summary);
      elsewhere = true;
    }
  }
  if (lines.empty()) return "";
  const bool missing = elsewhere && !find_train_program();
  return fmt::format("{}{}\n{}\n", group.title, missing ? " (organ-train is not installed)" : "",
                     lines);
}

class ProgramFormatter : public Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string, CLI::AppFormatMode) const override {
    std::string text = make_description(app) + "Usage: organ COMMAND [ARGUMENT...]\n\n";
    for (const CommandGroup& group : command_groups()) text += group_text(*app, group);
    std::string options = make_groups(app, CLI::AppFormatMode::Normal).substr(1);
    if (const auto gap = options.find("\n\n\n"); gap != std::string::npos) options.erase(gap, 1);
    return text + options + "\norgan help COMMAND shows a command's options and examples.\n" +
           exit_code_lines() + "\n";
  }
};

// Several values behind one another, not one each time that it is given.
bool takes_many(const CLI::Option& option) {
  return option.get_items_expected_max() > 1 && option.get_allow_extra_args();
}

bool has_mark(const CLI::Option& option, std::string_view mark) {
  try {  // CLI11 has no const form of this
    return const_cast<CLI::Option&>(option).get_validator(std::string(mark)) != nullptr;
  } catch (const CLI::OptionNotFound&) {
    return false;
  }
}

ordered_json option_json(const CLI::Option& option) {
  ordered_json names = ordered_json::array();
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  return {{"names", names},
          {"positional", option.nonpositional() ? "" : option.get_name()},
          {"group", option.get_group()},
          {"description", option.get_description()},
          {"value", option.get_items_expected_max() == 0 ? "" : option.get_type_name()},
          {"default", option.get_default_str()},
          {"path", has_mark(option, kPathMark)},
          {"number", has_mark(option, kNumberMark)},
          {"required", option.get_required()},
          {"many", takes_many(option)},
          {"repeats", option.get_items_expected_max() > 1}};
}

ordered_json command_json(const CLI::App& app) {
  ordered_json out = {
      {"name", app.get_name()},           {"description", app.get_description()},
      {"footer", app.get_footer()},       {"group", app.get_require_subcommand_min() > 0},
      {"options", ordered_json::array()}, {"commands", ordered_json::array()}};
  for (const CLI::Option* option : app.get_options()) {
    out["options"].push_back(option_json(*option));
  }
  for (const CLI::App* command : app.get_subcommands({})) {
    out["commands"].push_back(command_json(*command));
  }
  return out;
}

}  // namespace

std::string wrapped(std::string_view text, std::size_t column, std::size_t indent) {
  constexpr std::size_t kWidth = 80;
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = text.find_first_not_of(' ', at);
    if (start == text.npos) break;
    const std::size_t end = std::min(text.find(' ', start), text.size());
    const std::size_t spaces = at == 0 ? start : 1;  // those in front of the text stay
    if (at > 0 && column + spaces + (end - start) > kWidth) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    } else {
      out += std::string(spaces, ' ');
      column += spaces;
    }
    out += text.substr(start, end - start);
    column += end - start;
    at = end;
  }
  return out;
}

std::string Formatter::make_description(const CLI::App* app) const {
  return wrapped(app->get_description(), 0, 0) + "\n";
}

std::string Formatter::make_usage(const CLI::App* app, std::string name) const {
  constexpr std::size_t kIndent = 2;
  std::string line = CLI::Formatter::make_usage(app, std::move(name));
  line.pop_back();
  return wrapped(line, 0, kIndent) + "\n";
}

std::string Formatter::make_subcommand(const CLI::App* command) const {
  return help_entry(command->get_name(), command->get_description(), get_column_width());
}

std::string Formatter::make_option(const CLI::Option* option, bool is_positional) const {
  return help_entry(make_option_name(option, is_positional) + make_option_opts(option),
                    make_option_desc(option), get_column_width());
}

// "N=0", or "FILE ... REQUIRED". What excludes what stands in the descriptions.
std::string Formatter::make_option_opts(const CLI::Option* option) const {
  if (option->get_items_expected_max() == 0) return "";
  std::string text;
  if (!option->get_type_name().empty()) text += " " + option->get_type_name();
  if (!option->get_default_str().empty()) text += "=" + option->get_default_str();
  if (takes_many(*option)) text += " ...";
  if (option->get_required()) text += " REQUIRED";
  return text;
}

std::string help_of_help() {
  return "show the options and examples of a command\nUsage: organ help [COMMAND...]\n\nExamples:\n"
         "  organ help install\n  organ help key generate\n\n" +
         exit_code_lines() + "\n";
}

void show_groups(CLI::App& program) { program.formatter(std::make_shared<ProgramFormatter>()); }

ordered_json dump_help(const CLI::App& program) {
  ordered_json out = {{"schema_version", 1},
                      {"version", ORGAN_VERSION},
                      {"program", is_train_program(program) ? "organ-train" : "organ"},
                      {"groups", ordered_json::array()},
                      {"exit_codes", ordered_json::array()}};
  for (const CommandGroup& group : command_groups()) {
    ordered_json commands = ordered_json::array();
    for (const CommandGroup::Entry& entry : group.commands) {
      commands.push_back({{"name", entry.name}, {"train_summary", entry.train_summary}});
    }
    out["groups"].push_back({{"title", group.title}, {"commands", commands}});
  }
  for (const ExitCode& one : kExitCodes) {
    out["exit_codes"].push_back({{"code", one.code}, {"meaning", one.meaning}});
  }
  out.update(command_json(program));
  return out;
}

}  // namespace organ::cli
