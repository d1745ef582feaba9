// SPDX-License-Identifier: Apache-2.0
#include "train/machine/start_machine.h"

#include <algorithm>
#include <cstdlib>
#include <future>
#include <optional>
#include <thread>
#include <vector>

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorIterator.h>

#include "format/base/try_thread.h"
#include "train/machine/memory.h"

// Of the OpenMP that LibTorch brings (OpenMP 5.0, 3.2); clang has no omp.h of its own.
extern "C" {
void omp_set_dynamic(int dynamic);
int omp_get_num_procs(void);
int omp_get_thread_limit(void);
void omp_set_max_active_levels(int levels);
int omp_get_max_active_levels(void);
}

namespace organ::train {
namespace {

// oneDNN shares a product out among as many threads as at::get_num_threads() says; where OpenMP
// then gives fewer (OMP_DYNAMIC, OMP_THREAD_LIMIT, OMP_MAX_ACTIVE_LEVELS), parts of the product are
// never computed. So the number of this thread is one that is given.
void take_no_less() {
  omp_set_dynamic(0);
  if (omp_get_max_active_levels() == 0) omp_set_max_active_levels(1);
  if (const int limit = omp_get_thread_limit(); limit < at::get_num_threads()) {
    at::set_num_threads(limit);
  }
}

// 0: as many as there are.
int wanted_threads(const MachineChoice& choice, unsigned processes) {
  if (choice.threads != 0 || !choice.own_process) return static_cast<int>(choice.threads);
  const unsigned usable =
      std::min(usable_processors(), static_cast<unsigned>(std::max(1, omp_get_num_procs())));
  return static_cast<int>(std::max(1u, usable / processes));
}

// LibTorch waits for ever for a thread that the system did not give (`ulimit -u`, a container's
// limit), and OpenMP ends the process; each makes threads of its own. So it is tried first, as the
// first question of a thread: what it was given once it keeps.
int given_threads(int wanted) {
  thread_local int asked = 1, given = 1;
  if (wanted <= asked) return std::min(wanted, given);
  std::vector<std::optional<std::jthread>> others;
  std::promise<void> tried;
  const std::shared_future<void> end = tried.get_future().share();
  for (int i = 0; i < 2 * (wanted - given); ++i) {
    auto other = try_thread([end] {
      // A thread of OpenMP allocates, and takes address space for an arena of its own.
      void* volatile arena = std::malloc(1);
      std::free(arena);
      end.wait();
    });
    if (!other) break;
    others.push_back(std::move(other));
  }
  tried.set_value();
  asked = wanted;
  given += static_cast<int>(others.size() / 2);
  return given;
}

}  // namespace

at::Device start_machine(const MachineChoice& choice, unsigned processes) {
  if (choice.own_process) keep_large_blocks();
  const at::Device device = open_device(choice.device);
  // The first question of a thread makes its number that of the process, whoever set it last: asked
  // later, it would undo what is set here.
  at::get_num_threads();
  if (const int threads = wanted_threads(choice, processes)) {
    at::set_num_threads(given_threads(threads));
  }
  take_no_less();
  return device;
}

void make_threads() {
  const int threads = at::get_num_threads();
  if (threads > 1) (void)at::zeros({threads * at::internal::GRAIN_SIZE});
}

ThreadsInUse::ThreadsInUse(const MachineChoice& choice) : before_(at::get_num_threads()) {
  const int threads = wanted_threads(choice, 1);
  if (threads != 0 && threads != before_) at::set_num_threads(given_threads(threads));
  take_no_less();
}

ThreadsInUse::~ThreadsInUse() {
  if (before_ != at::get_num_threads()) at::set_num_threads(before_);
}

}  // namespace organ::train
