// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/train_program.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format/base/fail.h"
#include "format/base/file.h"

namespace organ::cli {
namespace {

namespace fs = std::filesystem;

fs::path own_folder() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) fail(ErrorCode::io, "/proc/self/exe: {}", error.message());
  return self.parent_path();
}

}  // namespace

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
