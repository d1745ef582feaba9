// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/train_program.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "cli/frame/internal/spinning.h"
#include "cli/frame/interrupt.h"
#include "format/base/fail.h"
#include "format/base/file.h"

namespace organ::cli {
namespace {

namespace fs = std::filesystem;

// Nothing where /proc is not mounted, as in a bare chroot.
std::optional<fs::path> own_folder() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) return std::nullopt;
  return self.parent_path();
}

constexpr int kNotStarted = 127;  // exit code of the loader, and of a shell

struct Outcome {
  int status = 0;  // as waitpid gives it
  std::string output, errors;

  bool good() const { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }
};

UniqueFd memory_file(const char* name) {
  UniqueFd file(::memfd_create(name, MFD_CLOEXEC));
  if (!file) fail_errno(name, "create");
  return file;
}

std::string contents(const UniqueFd& file) {
  constexpr std::size_t kLimit = 64 << 10;
  std::string text(kLimit, '\0');
  const ssize_t got = ::pread(file.get(), text.data(), text.size(), 0);
  text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return text;
}

std::vector<char*> pointers(const fs::path& program, std::vector<std::string>& arguments) {
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  return argv;
}

// Runs the program to its end with a few more variables in its environment.
Outcome run_captured(const fs::path& program, std::vector<std::string> arguments,
                     std::initializer_list<const char*> variables = {}) {
  const UniqueFd output = memory_file("output"), errors = memory_file("errors");
  const std::vector<char*> argv = pointers(program, arguments);
  const pid_t child = ::fork();
  if (child < 0) fail_errno(program.string(), "start");
  if (child == 0) {
    for (const char* variable : variables) ::setenv(variable, "1", 1);
    if (::dup2(output.get(), STDOUT_FILENO) >= 0 && ::dup2(errors.get(), STDERR_FILENO) >= 0) {
      ::execv(program.c_str(), argv.data());
    }
    ::_exit(kNotStarted);
  }
  Outcome outcome;
  while (::waitpid(child, &outcome.status, 0) < 0 && errno == EINTR) {
  }
  outcome.output = contents(output);
  outcome.errors = contents(errors);
  return outcome;
}

// Why it failed, in one line: the last one that it wrote, without its own name in front.
std::string reason(const fs::path& program, const Outcome& outcome) {
  std::string_view text = outcome.errors;
  while (text.ends_with('\n')) text.remove_suffix(1);
  if (const auto newline = text.rfind('\n'); newline != text.npos) text.remove_prefix(newline + 1);
  const std::string name = program.string() + ": ";
  if (text.starts_with(name)) text.remove_prefix(name.size());
  if (!text.empty()) return escape_text(text, 2048);
  return WIFEXITED(outcome.status) ? fmt::format("exit code {}", WEXITSTATUS(outcome.status))
                                   : fmt::format("signal {}", WTERMSIG(outcome.status));
}

[[noreturn]] void fail_start(const std::string& why) {
  throw Error(ErrorCode::io, "organ-train: does not start: " + why,
              "it needs the LibTorch that it was built with: pip install organ again, in the "
              "environment whose torch it shall use, or build again (./dev build)");
}

// A script, such as the wheel's, tells nothing about the program that it starts.
bool is_script(const fs::path& program) {
  const UniqueFd file(::open(program.c_str(), O_RDONLY | O_CLOEXEC));
  char start[2] = {};
  return file && ::read(file.get(), start, 2) == 2 && start[0] == '#' && start[1] == '!';
}

// Throws unless the loader finds every library and every symbol. It is asked first without running
// the program (ld.so(8)), which takes a tenth of the time of a start; what it then objects to must
// show in a start.
void require_start(const fs::path& program) {
  if (!is_script(program)) {
    const Outcome traced =
        run_captured(program, {}, {"LD_TRACE_LOADED_OBJECTS", "LD_WARN", "LD_BIND_NOW"});
    const std::string said = traced.output + traced.errors;
    if (traced.good() && said.find("not found") == said.npos &&
        said.find("undefined symbol") == said.npos) {
      return;
    }
  }
  const Outcome tried = run_captured(program, {"--version"});
  if (!tried.good()) fail_start(reason(program, tried));
}

}  // namespace

std::optional<fs::path> find_train_program() {
  const auto folder = own_folder();
  if (!folder) return std::nullopt;
  for (const fs::path& candidate :
       {*folder / "organ-train", *folder / ".." / "libexec" / "organ" / "organ-train"}) {
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return std::nullopt;
}

std::string output_of(const fs::path& program, std::vector<std::string> arguments) {
  choose_spinning();  // what is measured is what a run would have
  Outcome outcome = run_captured(program, std::move(arguments));
  if (!outcome.good()) {
    const std::string why = reason(program, outcome);
    if (WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == kNotStarted) fail_start(why);
    throw Error(ErrorCode::io, "organ-train: failed: " + why);
  }
  return std::move(outcome.output);
}

void exec_train_program(std::vector<std::string> arguments) {
  const auto program = find_train_program();
  if (!program) {
    throw Error(ErrorCode::not_found, "organ-train: not found beside organ nor in libexec",
                "the Python wheel of organ brings it, or build with -Dtrain=enabled (./dev build)");
  }
  require_start(*program);
  choose_spinning();
  hold_interrupts();
  ::execv(program->c_str(), pointers(*program, arguments).data());
  fail_errno(program->string(), "start");
}

}  // namespace organ::cli
