// SPDX-License-Identifier: Apache-2.0
// Threads that make work faster but are not needed for it.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "format/base/digest.h"

namespace organ {

// A thread that runs `action`, or nothing when the system has none to give (a limit of the user or
// the container): the caller then does the work itself. `action` may take a std::stop_token, and
// lets no exception out. The destructor asks it to stop and waits for it.
template <typename Action>
std::optional<std::jthread> try_thread(Action&& action) {
  try {
    return std::jthread(std::forward<Action>(action));
  } catch (const std::system_error&) {
    return std::nullopt;
  }
}

// How many processors the threads that this one starts may use, at least 1: those of its affinity,
// which they inherit (taskset, cpusets of a container; all of the machine where OpenMP is told to
// bind threads itself), and no more than the quota of the process's control group, rounded up
// (cgroups version 2, cpu.max).
unsigned usable_processors();

// The quota of a line of cpu.max (microseconds of processor time, of each period), "150000 100000":
// 2. nullopt for "max 100000" and what is none.
std::optional<unsigned> processors_of_quota(const std::string& cpu_max);

// Hashes bytes beside its caller, who writes them meanwhile: on one thread for as long as it lives,
// or, when only one may hash (Work::threads()) or the system has no other, in update() itself. Used
// from one thread.
class HashBeside {
 public:
  explicit HashBeside(unsigned threads);
  HashBeside(const HashBeside&) = delete;
  HashBeside& operator=(const HashBeside&) = delete;
  ~HashBeside();  // waits; declare it behind what it borrows

  // Borrows both until wait(), which comes before the next update(). Throws what hashing throws.
  void update(Sha256Hasher& hasher, std::span<const std::byte> bytes);
  // Returns when the bytes are hashed, at once when there are none; throws what hashing threw.
  void wait();

 private:
  void work(const std::stop_token& stop);

  std::mutex mutex_;
  std::condition_variable_any changed_;
  Sha256Hasher* hasher_ = nullptr;  // of what is being hashed; null: nothing is
  std::span<const std::byte> bytes_;
  std::exception_ptr failure_;
  std::optional<std::jthread> thread_;
};

}  // namespace organ
