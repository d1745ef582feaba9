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
// nullopt where the limit binds nobody we can become: only the superuser is another user.
template <typename Action>
std::optional<bool> with_few_threads(unsigned threads, const Action& action) {
  constexpr uid_t kNobody = 64'999;  // of no other process
  if (::geteuid() != 0) return std::nullopt;
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit limit{threads, threads};
    bool good =
        ::setrlimit(RLIMIT_NPROC, &limit) == 0 && ::setresuid(kNobody, kNobody, kNobody) == 0;
    try {
      good = good && action();
    } catch (const std::exception&) {
      good = false;
    }
    ::_exit(good ? 0 : 1);
  }
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
}

}  // namespace organ::test
