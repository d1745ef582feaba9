// SPDX-License-Identifier: Apache-2.0
// Writes train states on a thread of its own while the training goes on.
#pragma once

#include <functional>
#include <future>

namespace organ::train {

// One state at a time. Not thread-safe. Destroyed while one is written it waits for its end.
// What fails on that thread is thrown by the next call here; destroyed before, it is lost.
class StateWriter {
 public:
  // Calls `save` on another thread, which owns all it reads. Waits for the one before, and throws
  // what that one failed with.
  void start(std::function<void()> save);

  // Waits until nothing is written any more. Throws what the last one failed with, once.
  void finish();

 private:
  std::future<void> writing_;
};

}  // namespace organ::train
