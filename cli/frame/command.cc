// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/command.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/frame/command_table.h"
#include "cli/frame/context.h"
#include "cli/frame/internal/formatter.h"
#include "cli/frame/internal/help.h"
#include "cli/frame/internal/number.h"
#include "cli/frame/parse_option.h"
#include "format/base/fail.h"
#include "format/base/file_system.h"
#include "format/checkpoint/checkpoint.h"

namespace organ::cli {
namespace {

constexpr const char* kGlobalGroup = "Global options";

// One usage line, a command's own options, then the global ones, examples, exit codes. (CLI11
// prints option groups in the order in which they were first used.)
class CommandFormatter : public Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string, CLI::AppFormatMode mode) const override {
    std::string name;
    for (const CLI::App* at = app; at != nullptr; at = at->get_parent()) {
      if (!name.empty()) name.insert(0, " ");
      name.insert(0, at->get_name());
    }
    return make_description(app) + make_usage(app, name) + make_positionals(app) +
           option_groups(app) + make_subcommands(app, mode) + "\n" + make_footer(app);
  }

 private:
  std::string option_groups(const CLI::App* app) const {
    std::string own, global;
    for (const std::string& group : app->get_groups()) {
      const auto options = app->get_options([&](const CLI::Option* option) {
        return option->get_group() == group && option->nonpositional();
      });
      if (group.empty() || options.empty()) continue;
      (group == kGlobalGroup ? global : own) += make_group(group, false, options);
    }
    return own + global;
  }
};

// An empty path is a usage error; the name is what help.cc looks for.
void mark_as_path(CLI::Option* option) {
  option->transform([](const std::string& text) { return typed_path(text).string(); }, "",
                    std::string(kPathMark));
}

// An option takes one value each time that it is given, so that none swallows the argument behind
// it (Option::many takes that back).
template <typename T>
void take_one_each(CLI::Option* option) {
  if constexpr (std::is_same_v<T, std::vector<std::string>>) {
    if (!option->get_positional()) option->allow_extra_args(false);
  }
}

template <typename T>
struct ValueOf {
  using Type = T;
};
template <typename T>
struct ValueOf<std::optional<T>> {
  using Type = T;
};

// CLI11 reads octal and hexadecimal numbers, and a negative one into a type without a sign. So one
// function reads them all first.
template <typename T>
void read_as_number(CLI::Option* option) {
  using Value = typename ValueOf<T>::Type;
  if constexpr (std::is_arithmetic_v<Value>) {
    const auto checked = [name = option->get_name()](const std::string& text) {
      const auto value = parse_number<Value>(name, text);
      return std::is_integral_v<Value> ? fmt::to_string(value) : text;
    };
    option->transform(checked, "", std::string(kNumberMark));
  }
}

// An argument of the command above, before the word that names this one.
void refuse_stray(const CLI::App& app) {
  if (app.get_parent() == nullptr) return;
  for (const CLI::Option* option : app.get_parent()->get_options()) {
    if (!option->get_positional() || option->count() == 0) continue;
    fail(ErrorCode::invalid_argument, "{} is not expected before {}",
         quote(option->results().front()), quote(app.get_name()));
  }
}

}  // namespace

Option Option::required() const {
  option_->required();
  return *this;
}

Option Option::value_name(const std::string& name) const {
  option_->type_name(name);
  return *this;
}

Option Option::default_text(const std::string& text) const {
  option_->default_str(text);
  return *this;
}

Option Option::show_default() const {
  option_->capture_default_str();
  return *this;
}

Option Option::within(unsigned low, unsigned high) const {
  option_->transform([name = option_->get_name(), low, high](const std::string& text) {
    number_within(name, text, low, high);
    return text;
  });
  return *this;
}

Option Option::many() const {
  option_->allow_extra_args();
  return *this;
}

Option Option::excludes(Option other) const {
  option_->excludes(other.option_);
  return *this;
}

template <typename T>
Option Command::add_option(const std::string& names, T& target, const std::string& description) {
  CLI::Option* option = app_->add_option(names, target, description);
  take_one_each<T>(option);
  read_as_number<T>(option);
  return Option(option);
}

template Option Command::add_option(const std::string&, std::string&, const std::string&);
template Option Command::add_option(const std::string&, std::filesystem::path&, const std::string&);
template Option Command::add_option(const std::string&, double&, const std::string&);
template Option Command::add_option(const std::string&, int&, const std::string&);
template Option Command::add_option(const std::string&, unsigned&, const std::string&);
template Option Command::add_option(const std::string&, std::int64_t&, const std::string&);
template Option Command::add_option(const std::string&, std::uint64_t&, const std::string&);
template Option Command::add_option(const std::string&, std::optional<std::string>&,
                                    const std::string&);
template Option Command::add_option(const std::string&, std::optional<std::filesystem::path>&,
                                    const std::string&);
template Option Command::add_option(const std::string&, std::optional<double>&, const std::string&);
template Option Command::add_option(const std::string&, std::optional<int>&, const std::string&);
template Option Command::add_option(const std::string&, std::optional<std::int64_t>&,
                                    const std::string&);
template Option Command::add_option(const std::string&, std::optional<std::uint64_t>&,
                                    const std::string&);
template Option Command::add_option(const std::string&, std::vector<std::string>&,
                                    const std::string&);

template <typename T>
Option Command::add_path(const std::string& names, T& target, const std::string& description) {
  CLI::Option* option = app_->add_option(names, target, description);
  take_one_each<T>(option);
  mark_as_path(option);
  return Option(option);
}

template Option Command::add_path(const std::string&, std::string&, const std::string&);
template Option Command::add_path(const std::string&, std::filesystem::path&, const std::string&);
template Option Command::add_path(const std::string&, std::optional<std::string>&,
                                  const std::string&);
template Option Command::add_path(const std::string&, std::optional<std::filesystem::path>&,
                                  const std::string&);
template Option Command::add_path(const std::string&, std::vector<std::string>&,
                                  const std::string&);

Option Command::add_flag(const std::string& names, bool& target, const std::string& description) {
  return Option(app_->add_flag(names, target, description));
}

Option Command::add_parsed_option(const std::string& names,
                                  const std::function<void(const std::string&)>& parse,
                                  const std::string& description) {
  return Option(app_->add_option_function<std::string>(names, parse, description));
}

void Command::add_global_options(Context& context) {
  app_->option_defaults()->group(kGlobalGroup);
  app_->add_flag("-q,--quiet", context.quiet,
                 "only errors, warnings and data; nothing when all went well");
  app_->add_flag("-v,--verbose", context.verbose, "more on stderr");
  app_->add_flag("--json", context.json,
                 "one JSON record on stdout; an error is one on the last line of stderr");
  mark_as_path(app_->add_option("--registry", context.registry,
                                "registry folder [default: $ORGAN_REGISTRY, else "
                                "organ/registry in $XDG_DATA_HOME or ~/.local/share]")
                   ->type_name("DIR"));
  const auto trust = [](const std::vector<std::string>& roots) {
    for (const std::string& root : roots) format::trust_links_below(root);
  };
  CLI::Option* roots = app_->add_option_function<std::vector<std::string>>(
      "--trust-links", trust,
      "links in model folders may lead below this folder too (DVC, split caches); "
      "repeatable");
  take_one_each<std::vector<std::string>>(roots->type_name("ROOT"));
  mark_as_path(roots);
  app_->add_flag_callback(
      "--progress", [&context] { context.progress = true; },
      "show progress on stderr [default: on a terminal]");
  app_->add_flag_callback(
      "--no-progress", [&context] { context.progress = false; }, "show no progress");
  app_->option_defaults()->group("Options");
}

Command Command::add_group(Context& context, const std::string& name,
                           const std::string& description, const std::string& examples) {
  Command added = add_command(context, name, description, examples);
  added.app_->require_subcommand(1);
  return added;
}

Command Command::add_command(Context& context, const std::string& name,
                             const std::string& description, const std::string& examples) {
  CLI::App* command = app_->add_subcommand(name, description);
  command->formatter(std::make_shared<CommandFormatter>());
  command->footer((examples.empty() ? "" : "Examples:\n" + examples + "\n\n") + exit_code_lines());
  Command added(*command);
  added.add_global_options(context);
  return added;
}

Command Command::add_train_command(Context& context, const std::string& name,
                                   const std::string& examples) {
  const std::string_view summary = train_summary(name);
  if (summary.empty()) fail(ErrorCode::internal, "{}: not in the table of commands", quote(name));
  return add_command(context, name, std::string(summary), examples);
}

bool Command::given(const std::string& name) const { return app_->get_option(name)->count() > 0; }

void Command::on_run(std::function<void()> run) {
  // CLI11 calls back every app on the way to the command that was given.
  app_->callback([app = app_, run = std::move(run)] {
    if (!app->get_subcommands().empty()) return;
    refuse_stray(*app);
    run();
  });
}

}  // namespace organ::cli
