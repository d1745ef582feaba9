// SPDX-License-Identifier: Apache-2.0
#include "registry/http/internal/helper_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>

#include "format/base/fail.h"
#include "format/base/file.h"

namespace organ::registry {
namespace {

constexpr std::size_t kOutputLimit = std::size_t{64} << 10;
constexpr std::chrono::seconds kPatience{60};
constexpr int kPollMilliseconds = 100;

// A file in memory: a pipe could fill, and raise SIGPIPE.
UniqueFd file_of(std::string_view text) {
  UniqueFd fd(::memfd_create("organ-helper-input", MFD_CLOEXEC));
  if (!fd) fail_errno("the helper's input", "create");
  write_all(fd.get(), text, "the helper's input");
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) fail_errno("the helper's input", "seek in");
  return fd;
}

class Child {
 public:
  Child(const std::string& program, const std::string& argument, int input, int output) {
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, input, 0);
    ::posix_spawn_file_actions_adddup2(&actions, output, 1);
    std::string name = program, word = argument;
    std::array<char*, 3> arguments{name.data(), word.data(), nullptr};
    const int error =
        ::posix_spawnp(&pid_, program.c_str(), &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (error == ENOENT) fail(ErrorCode::not_found, "{}: no such program", quote(program));
    if (error != 0) {
      fail(ErrorCode::io, "{}: cannot be run: {}", quote(program), std::strerror(error));
    }
    process_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  }
  // Its number may be another process's by now, where the host or the system waits for children.
  ~Child() {
    if (pid_ <= 0 || ::waitpid(pid_, nullptr, WNOHANG) != 0) return;
    if (process_) {
      (void)::syscall(SYS_pidfd_send_signal, process_.get(), SIGKILL, nullptr, 0);
    } else {
      (void)::kill(pid_, SIGKILL);  // Linux before 5.3
    }
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Its exit code, once it ended. Throws io when somebody else took that.
  std::optional<int> ended(const std::string& program) {
    int status = 0;
    const pid_t got = ::waitpid(pid_, &status, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR)) return std::nullopt;
    pid_ = -1;
    if (got < 0) {
      throw Error(ErrorCode::io,
                  quote(program) +
                      ": its exit code cannot be known: SIGCHLD is ignored here, or "
                      "another part of the program waits for every child",
                  "give SIGCHLD its default in the program that runs this, or in its parent");
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
  UniqueFd process_;  // the same process whatever happens to its number
};

using Clock = std::chrono::steady_clock;

std::string read_answer(int fd, const std::string& program, Clock::time_point until,
                        const Work& work) {
  std::string output;
  std::array<char, 4096> piece{};
  for (;;) {
    work.require_wanted();
    pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&waiting, 1, kPollMilliseconds);
    if (ready < 0 && errno != EINTR) fail_errno(quote(program), "read from");
    if (Clock::now() > until) {
      fail(ErrorCode::io, "{}: did not answer within {} s", quote(program), kPatience.count());
    }
    if (ready <= 0) continue;
    const ssize_t got = ::read(fd, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_errno(quote(program), "read from");
    if (got == 0) return output;
    output.append(piece.data(), static_cast<std::size_t>(got));
    if (output.size() > kOutputLimit) {
      fail(ErrorCode::io, "{}: answers more than {} bytes", quote(program), kOutputLimit);
    }
  }
}

// A helper may close its output and live on.
int exit_code_of(Child& child, const std::string& program, Clock::time_point until,
                 const Work& work) {
  for (;;) {
    if (const auto code = child.ended(program)) return *code;
    work.require_wanted();
    if (Clock::now() > until) {
      fail(ErrorCode::io, "{}: did not end within {} s", quote(program), kPatience.count());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace

HelperAnswer ask_helper(const std::string& program, const std::string& argument,
                        std::string_view input, const Work& work) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail_errno("a pipe", "create");
  UniqueFd out(ends[0]), in(ends[1]);
  const UniqueFd question = file_of(input);
  Child child(program, argument, question.get(), in.get());
  in.reset();
  HelperAnswer answer;
  const auto until = Clock::now() + kPatience;
  answer.output = read_answer(out.get(), program, until, work);
  answer.exit_code = exit_code_of(child, program, until, work);
  return answer;
}

}  // namespace organ::registry
