// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/internal/help.h"

#include <memory>
#include <string>

#include <fmt/core.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/frame/command_table.h"
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

std::string command_line(std::string_view name, std::string_view summary) {
  return fmt::format("  {:<11} {}\n", name, summary);
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

class ProgramFormatter : public CLI::Formatter {
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

bool is_path(const CLI::Option& option) {
  try {  // CLI11 has no const form of this
    return const_cast<CLI::Option&>(option).get_validator(std::string(kPathMark)) != nullptr;
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
          {"path", is_path(option)},
          {"required", option.get_required()},
          {"many", option.get_items_expected_max() > 1}};
}

ordered_json command_json(const CLI::App& app) {
  ordered_json out = {{"name", app.get_name()},
                      {"description", app.get_description()},
                      {"footer", app.get_footer()},
                      {"options", ordered_json::array()},
                      {"commands", ordered_json::array()}};
  for (const CLI::Option* option : app.get_options()) {
    out["options"].push_back(option_json(*option));
  }
  for (const CLI::App* command : app.get_subcommands({})) {
    out["commands"].push_back(command_json(*command));
  }
  return out;
}

}  // namespace

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
