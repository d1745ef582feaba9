// SPDX-License-Identifier: Apache-2.0
// A process to which the system gives few threads, as `ulimit -u` and containers do.
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <exception>
#include <optional>

namespace organ::test {

// What `action()` says in a child that may have `threads` threads in all; false when it throws.
// nullopt where we cannot become a user whom the limit binds: only the superuser can.
template <typename Action>
std::optional<bool> with_few_threads(unsigned threads, const Action& action) {
  constexpr uid_t kNobody = 64'999;  // of no other process
  constexpr int kBad = 1, kStillOurselves = 2;
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit limit{threads, threads};
    if (::setrlimit(RLIMIT_NPROC, &limit) != 0 || ::geteuid() != 0 ||
        ::setresuid(kNobody, kNobody, kNobody) != 0) {
      ::_exit(kStillOurselves);
    }
    try {
      ::_exit(action() ? 0 : kBad);
    } catch (const std::exception&) {
      ::_exit(kBad);
    }
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return false;
  if (WIFEXITED(status) && WEXITSTATUS(status) == kStillOurselves) return std::nullopt;
  return status == 0;
}

}  // namespace organ::test
