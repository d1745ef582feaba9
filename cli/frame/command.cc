// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/command.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/frame/command_table.h"
#include "format/base/fail.h"
#include "format/base/file.h"

namespace organ::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kGlobalGroup = "Global options";

// One usage line, a command's own options, then the global ones, examples, exit codes. (CLI11
// prints option groups in the order in which they were first used.)
class Formatter : public CLI::Formatter {
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

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? std::optional<std::string>(value) : std::nullopt;
}

fs::path own_folder() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) fail(ErrorCode::io, "/proc/self/exe: {}", error.message());
  return self.parent_path();
}

}  // namespace

void Context::print(std::string_view line) const { std::cout << line << '\n'; }

void Context::print_json(std::string_view command, nlohmann::json record) const {
  nlohmann::ordered_json out = {{"schema_version", 1}, {"command", command}};
  for (auto& [key, value] : record.items()) out[key] = value;
  std::cout << out.dump(2) << '\n';
}

void Context::note(std::string_view line) const {
  if (!quiet) std::cerr << line << '\n';
}

void Context::warn(std::string_view line) const { std::cerr << "warning: " << line << '\n'; }

void Context::detail(std::string_view line) const {
  if (verbose > 0) std::cerr << line << '\n';
}

void Context::worsen(ErrorCode code) {
  exit_code = worse_exit_code(exit_code, organ::exit_code(code));
}

fs::path Context::registry_path() const {
  if (registry) return *registry;
  if (const auto path = environment("ORGAN_REGISTRY")) return *path;
  if (const auto data = environment("XDG_DATA_HOME")) return fs::path(*data) / "organ" / "registry";
  if (const auto home = environment("HOME")) {
    return fs::path(*home) / ".local" / "share" / "organ" / "registry";
  }
  throw Error(ErrorCode::invalid_argument, "no registry: HOME is not set",
              "give --registry DIR or set ORGAN_REGISTRY");
}

bool Context::show_progress() const {
  if (progress) return *progress;
  const auto terminal = environment("TERM");
  return !quiet && ::isatty(STDERR_FILENO) == 1 && terminal && *terminal != "dumb" &&
         !environment("NO_COLOR");
}

CLI::App* add_group(CLI::App& parent, const std::string& name, const std::string& description) {
  CLI::App* group = parent.add_subcommand(name, description);
  group->formatter(std::make_shared<Formatter>());
  group->require_subcommand(1);
  return group;
}

CLI::App* add_command(CLI::App& parent, Context& context, const std::string& name,
                      const std::string& description, const std::string& examples) {
  CLI::App* command = parent.add_subcommand(name, description);
  command->formatter(std::make_shared<Formatter>());
  command->footer((examples.empty() ? "" : "Examples:\n" + examples + "\n\n") + exit_code_lines());
  command->option_defaults()->group(kGlobalGroup);
  command->add_flag("-q,--quiet", context.quiet, "only errors and data");
  command->add_flag("-v,--verbose", context.verbose, "more on stderr");
  command->add_flag("--json", context.json, "one JSON record on stdout");
  command
      ->add_option("--registry", context.registry,
                   "registry folder [default: $ORGAN_REGISTRY or "
                   "$XDG_DATA_HOME/organ/registry]")
      ->type_name("DIR");
  command->add_flag_callback(
      "--progress", [&context] { context.progress = true; },
      "show progress on stderr [default: on a terminal]");
  command->add_flag_callback(
      "--no-progress", [&context] { context.progress = false; }, "show no progress");
  command->option_defaults()->group("Options");
  return command;
}

CLI::App* add_train_command(CLI::App& parent, Context& context, const std::string& name,
                            const std::string& examples) {
  const std::string_view summary = train_summary(name);
  if (summary.empty()) fail(ErrorCode::internal, "{}: not in the table of commands", quote(name));
  return add_command(parent, context, name, std::string(summary), examples);
}

void on_run(CLI::App* command, std::function<void()> run) {
  command->callback([run = std::move(run)] { run(); });
}

int worse_exit_code(int a, int b) {
  constexpr int kWorstFirst[] = {4, 5, 3, 6, 7, 2, 130, 1, 0};
  const auto rank = [&](int code) {
    return std::find(std::begin(kWorstFirst), std::end(kWorstFirst), code);
  };
  return rank(a) <= rank(b) ? a : b;
}

nlohmann::json to_json(const std::vector<format::Finding>& findings) {
  nlohmann::json out = nlohmann::json::array();
  for (const format::Finding& finding : findings) {
    out.push_back({{"code", to_string(finding.code)},
                   {"subject", escape_text(finding.subject)},
                   {"message", escape_text(finding.message, 2048)}});
  }
  return out;
}

void show_findings(const std::vector<format::Finding>& findings) {
  for (const format::Finding& finding : findings) {
    std::cerr << to_string(finding.code) << ": " << escape_text(finding.subject) << ": "
              << escape_text(finding.message, 2048) << '\n';
  }
}

std::optional<fs::path> find_train_program() {
  const fs::path folder = own_folder();
  for (const fs::path& candidate :
       {folder / "organ-train", folder / ".." / "libexec" / "organ" / "organ-train"}) {
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return std::nullopt;
}

std::string output_of(const fs::path& program, std::vector<std::string> arguments) {
  constexpr std::size_t kLimit = 64 << 10;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail_errno(program.string(), "pipe");
  UniqueFd reader(ends[0]), writer(ends[1]);
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child < 0) fail_errno(program.string(), "start");
  if (child == 0) {
    if (::dup2(writer.get(), STDOUT_FILENO) >= 0) ::execv(program.c_str(), argv.data());
    ::_exit(127);
  }
  writer.reset();
  std::string text(kLimit, '\0');
  std::size_t size = 0;
  for (ssize_t got = 1; got > 0 && size < kLimit; size += static_cast<std::size_t>(got)) {
    got = ::read(reader.get(), text.data() + size, kLimit - size);
    if (got < 0) break;
  }
  reader.reset();
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    fail(ErrorCode::io, "{}: failed ({})", quote(program.string()),
         WIFEXITED(status) ? fmt::format("exit code {}", WEXITSTATUS(status))
                           : fmt::format("signal {}", WTERMSIG(status)));
  }
  text.resize(size);
  return text;
}

void exec_train_program(char** argv) {
  const auto program = find_train_program();
  if (!program) {
    throw Error(ErrorCode::not_found, "organ-train: not found beside organ nor in libexec",
                "the Python wheel of organ brings it, or build with -Dtrain=enabled (./dev build)");
  }
  ::execv(program->c_str(), argv);
  fail_errno(program->string(), "start");
}

}  // namespace organ::cli
