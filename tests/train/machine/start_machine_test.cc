// SPDX-License-Identifier: Apache-2.0
#include "train/machine/start_machine.h"

#include "tests/train/support/doctest.h"

#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <new>
#include <stdexcept>
#include <thread>

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include "format/base/fail.h"
#include "format/base/try_thread.h"
#include "tests/support/support.h"
#include "tests/train/support/few_threads.h"
#include "train/machine/torch_device.h"

namespace organ::test {
namespace {

constexpr int kHostThreads = 3;

// How a process is left that started a machine.
struct Left {
  int threads = 0;
  bool keeps_large_blocks = false;
};

// The allocator of a sanitizer has no such setting.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kOwnAllocator = true;
#else
constexpr bool kOwnAllocator = false;
#endif

bool keeps_large_blocks() {
  const auto mapped = ::mallinfo2().hblks;
  // More than a heap keeps free by itself.
  void* block = std::malloc(std::size_t{512} << 20);
  *static_cast<volatile char*>(block) = 1;  // or the compiler leaves the block out
  const bool kept = ::mallinfo2().hblks == mapped;
  std::free(block);
  return kept;
}

// In a process of its own: settings of the allocator stay.
Left after_start(const train::MachineChoice& choice, unsigned processes) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    at::set_num_threads(kHostThreads);
    train::start_machine(choice, processes);
    ::_exit(std::min(at::get_num_threads(), 63) | (keeps_large_blocks() ? 64 : 0));
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  return {WEXITSTATUS(status) & 63, (WEXITSTATUS(status) & 64) != 0};
}

}  // namespace

TEST_CASE("a thread keeps its number of threads when another one starts after it") {
  int first = 0, second = 0;
  std::thread([&] {
    train::start_machine({.threads = 2}, 1);
    std::thread([&] {
      train::start_machine({.threads = 3}, 1);
      second = at::get_num_threads();
    }).join();
    first = at::get_num_threads();
  }).join();
  CHECK(first == 2);
  CHECK(second == 3);
}

TEST_CASE("a host's process keeps its memory settings, and its threads unless a number is asked") {
  const Left left = after_start({}, 1);
  CHECK(left.threads == kHostThreads);
  if (!kOwnAllocator) CHECK_FALSE(left.keeps_large_blocks);
  const Left asked = after_start({.threads = 2}, 1);
  CHECK(asked.threads == 2);
  if (!kOwnAllocator) CHECK_FALSE(asked.keeps_large_blocks);
}

TEST_CASE("a process of our own takes its share of the cores and keeps large blocks") {
  const int cores = static_cast<int>(usable_processors());
  for (const unsigned processes : {1u, 2u, 1000u}) {
    const Left left = after_start({.own_process = true}, processes);
    CHECK(left.threads == std::min(63, std::max(1, cores / static_cast<int>(processes))));
    if (!kOwnAllocator) CHECK(left.keeps_large_blocks);
  }
  CHECK(after_start({.threads = 2, .own_process = true}, 1).threads == 2);
}

TEST_CASE("threads that the system does not give are not waited for, and those it gave are kept") {
  for (const unsigned most : {1u, 2u, 4u, 5u, 7u}) {
    const auto same = test::with_few_threads(most, [&] {
      train::start_machine({.threads = 4}, 1);
      const int given = at::get_num_threads();
      train::start_machine({.threads = 4}, 1);
      return given >= 1 && given <= std::max(1, static_cast<int>(most)) &&
             given == at::get_num_threads();
    });
    CHECK(same.value_or(true));
  }
}

TEST_CASE("memory that runs out and what libraries throw are organ's errors, a host's own pass") {
  const auto thrown_by = [](const std::function<void()>& action) {
    return error_of([&] { train::with_device_errors(at::kCPU, action); });
  };
  // More than there are addresses for.
  CHECK_THROWS_AS(train::with_device_errors(at::kCPU, [] { (void)at::empty({1LL << 50}); }),
                  std::bad_alloc);
  CHECK(thrown_by([] {
          (void)at::ones({2}).matmul(at::ones({3}));
        }).starts_with("internal: LibTorch: "));
  CHECK_THROWS_AS(train::with_device_errors(at::kCPU, [] { throw std::out_of_range("a host's"); }),
                  std::out_of_range);
  CHECK(thrown_by([] { throw Error(ErrorCode::io, "ours"); }) == "io: ours");
}

TEST_CASE("threads that are in use for a while are given back") {
  const int before = at::get_num_threads();
  const train::MachineChoice single{.threads = 1}, any;
  at::set_num_threads(kHostThreads);
  {
    const train::ThreadsInUse one(single);
    CHECK(at::get_num_threads() == 1);
    const train::ThreadsInUse as_they_are(any);
    CHECK(at::get_num_threads() == 1);
  }
  CHECK(at::get_num_threads() == kHostThreads);
  at::set_num_threads(before);
}

}  // namespace organ::test
