// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/internal/usage.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>

#include "cli/frame/command_table.h"
#include "format/base/fail.h"
#include "format/base/path_status.h"

namespace organ::cli {
namespace {

// The option that was meant by `option`, which is none of `names`: `-out` may miss a dash.
std::optional<std::string> meant_option(const std::vector<std::string>& names,
                                        const std::string& option) {
  if (option.starts_with("--")) return nearest_name(names, option);
  if (option.size() <= 2) return std::nullopt;  // one letter
  const std::string whole = "-" + option;
  if (std::find(names.begin(), names.end(), whole) != names.end()) return whole;
  return nearest_name(names, whole);
}

bool has_commands(const CLI::App& app) { return !app.get_subcommands({}).empty(); }

// Such as `organ log NAME` beside `organ log verify`.
bool takes_arguments(const CLI::App& app) {
  const auto is_argument = [](const CLI::Option* option) { return option->get_positional(); };
  return !app.get_options(is_argument).empty();
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands({})) names.push_back(sub->get_name());
  if (app.get_parent() != nullptr) return names;
  names.emplace_back("help");
  for (const CommandGroup& group : command_groups()) {
    for (const CommandGroup::Entry& entry : group.commands) names.emplace_back(entry.name);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

// `trust`, which is a command of `organ registry`.
std::optional<std::string> in_a_group(const CLI::App& program, const std::string& word) {
  for (const CLI::App* group : program.get_subcommands({})) {
    const auto inner = group->get_subcommands({});
    const auto named = [&](const CLI::App* command) { return command->get_name() == word; };
    if (std::any_of(inner.begin(), inner.end(), named)) return group->get_name() + " " + word;
  }
  return std::nullopt;
}

std::string full_name(const CLI::App& app) {  // "organ key generate"
  const CLI::App* parent = app.get_parent();
  return (parent == nullptr ? "" : full_name(*parent) + " ") + app.get_name();
}

// CLI11's sentences in the words of this program. What it tells apart stands in its texts alone.
std::string in_own_words(const CLI::ParseError& error) {
  std::string text = error.what();
  const std::string name = text.substr(0, text.find_first_of(": "));
  if (dynamic_cast<const CLI::ExcludesError*>(&error) != nullptr) {
    constexpr std::string_view kExcludes = " excludes ";
    const std::size_t at = text.find(kExcludes);
    if (at == text.npos) return text;
    return text.substr(0, at) + ": cannot be joined with " + text.substr(at + kExcludes.size());
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) == nullptr) return text;
  if (text.find("flag override") != text.npos) return name + ": takes no value";
  if (text.find("At Most") != text.npos) {
    return name + ": is given " + text.substr(text.rfind(' ') + 1) + " times, expected once";
  }
  return name + ": its value is missing";
}

// The option that a word of the command line names, `--name=value` and `-qv` too, if there is one.
const CLI::Option* option_of(const CLI::App& command, const std::string& word) {
  return command.get_option_no_throw(word.starts_with("--") ? word.substr(0, word.find('='))
                                                            : word.substr(0, 2));
}

// The option that took several values, the missing argument among them.
const CLI::Option* swallower(const CLI::App& command) {
  const auto options = command.get_options([](const CLI::Option* one) {
    return one->nonpositional() && one->get_allow_extra_args() && one->results().size() > 1;
  });
  return options.empty() ? nullptr : options.back();
}

// A required option or argument is not given.
Error required_error(const CLI::App& command, const CLI::RequiredError& error) {
  const std::string text = escape_text(error.what());
  const CLI::Option* took = text.starts_with('-') ? nullptr : swallower(command);
  if (took == nullptr) {
    return Error(ErrorCode::invalid_argument, text,
                 full_name(command) + " --help shows what it takes");
  }
  return Error(ErrorCode::invalid_argument,
               text + "; " + took->get_name() + " took " + quote(took->results().back()),
               "-- ends the values of " + took->get_name() + ": what follows it are arguments");
}

// The name that it ends with; what follows an @ is a range of versions.
bool may_be_pattern(const std::string& path) {
  std::string name = path.substr(path.find_last_of('/') + 1);
  name.erase(std::min(name.find('@'), name.size()));
  const bool is_set = name.find('[') < name.rfind(']') && name.rfind(']') != name.npos;
  if (!is_set && name.find_first_of("*?") == name.npos) return false;
  try {
    return !is_taken(path);
  } catch (const Error&) {  // nobody can say; the error at hand is the one to tell
    return false;
  }
}

}  // namespace

Place find_place(const CLI::App& program, const std::vector<std::string>& words) {
  Place place{&program, {}, {}};
  for (std::size_t at = 0; at < words.size() && has_commands(*place.command); ++at) {
    const std::string& word = words[at];
    if (word.starts_with('-')) {
      const CLI::Option* option = option_of(*place.command, word);
      const bool mark = word == "-" || word == "--";
      if (option == nullptr && !mark && !place.unknown_option) place.unknown_option = at;
      const bool alone = word.starts_with("--") ? word.find('=') == word.npos : word.size() == 2;
      if (option != nullptr && alone && option->get_items_expected_max() > 0) ++at;  // its value
      continue;
    }
    const auto below = place.command->get_subcommands({});
    const auto named = std::find_if(below.begin(), below.end(),
                                    [&](const CLI::App* sub) { return sub->get_name() == word; });
    if (named == below.end()) {
      if (takes_arguments(*place.command)) continue;  // it may still come
      place.unknown = at;
      break;
    }
    place.command = *named;
  }
  return place;
}

Error unexpected(const CLI::App& command, const std::string& word) {
  const std::string name = full_name(command), help = name + " --help shows what it takes";
  if (!word.starts_with('-')) {
    return Error(ErrorCode::invalid_argument, quote(word) + " is not expected by " + name, help);
  }
  const std::string option = word.substr(0, word.find('='));
  std::vector<std::string> names;
  for (const CLI::Option* one : command.get_options()) {
    for (const std::string& long_name : one->get_lnames()) names.push_back("--" + long_name);
  }
  if (std::find(names.begin(), names.end(), option) != names.end()) {
    return Error(ErrorCode::invalid_argument, quote(option) + " stands behind --",
                 "options go before it: all that follows -- are arguments");
  }
  const auto meant = meant_option(names, option);
  return Error(ErrorCode::invalid_argument, quote(option) + " is not an option of " + name,
               meant_hint(meant, help));
}

Error unknown_command(const CLI::App& app, const std::string& word) {
  const bool inner = app.get_parent() != nullptr;
  const std::vector<std::string> names = command_names(app);
  auto meant = nearest_name(names, word);
  if (!meant && !inner) meant = in_a_group(app, word);
  if (word == "version") meant = "--version";
  if (std::find(names.begin(), names.end(), word) != names.end()) {
    return Error(ErrorCode::invalid_argument, quote(word) + " is not a command of this program",
                 "organ " + word + " is one");
  }
  return Error(
      ErrorCode::invalid_argument,
      quote(word) + " is not a command" + (inner ? " of " + full_name(app) : ""),
      meant_hint(meant, full_name(app) + " --help lists " + (inner ? "its" : "the") + " commands"));
}

// CLI11 stops at the first requirement that is not met, also where a word that it could not place
// is the reason.
Error usage_error(const CLI::App& program, const CLI::App& command, const CLI::ParseError& error) {
  const std::vector<std::string> left = program.remaining(true);
  if (!left.empty()) {
    const auto option = std::find_if(left.begin(), left.end(), [](const std::string& word) {
      return word.starts_with('-') && word != "--";
    });
    return unexpected(command, option == left.end() ? left.front() : *option);
  }
  const std::string name = full_name(command);
  if (has_commands(command) && !takes_arguments(command)) {
    return Error(ErrorCode::invalid_argument, "no command of " + name + " is given",
                 name + " --help lists them");
  }
  if (const auto* required = dynamic_cast<const CLI::RequiredError*>(&error)) {
    return required_error(command, *required);
  }
  return Error(ErrorCode::invalid_argument, escape_text(in_own_words(error)),
               name + " --help shows what it takes");
}

Error with_pattern_told(const Error& error, const std::vector<std::string>& words) {
  if (error.code() != ErrorCode::not_found) return error;
  for (const std::string& word : words) {
    const std::string path = word.starts_with("--") ? word.substr(word.find('=') + 1) : word;
    if (!may_be_pattern(path) || error.message().find(quote(path)) == std::string::npos) continue;
    Error told(error.code(),
               error.message() + "; if it is a pattern, no file matches it, or it stands in quotes",
               "a shell makes names of patterns, organ takes names as they are");
    for (const std::string& context : error.context()) told.with_context(context);
    return told;
  }
  return error;
}

}  // namespace organ::cli
