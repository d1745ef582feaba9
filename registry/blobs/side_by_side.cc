// SPDX-License-Identifier: Apache-2.0
#include "registry/blobs/side_by_side.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <vector>

#include "format/base/try_thread.h"

namespace organ::registry {

void side_by_side(std::size_t count, unsigned most, const std::function<void(std::size_t)>& action,
                  const std::function<void()>& stop) {
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr first;
  const auto run = [&] {
    for (;;) {
      const std::size_t mine = next++;
      if (mine >= count) return;
      try {
        action(mine);
      } catch (...) {
        const std::scoped_lock lock(mutex);
        if (!first) {
          first = std::current_exception();
          stop();
        }
        next = count;
      }
    }
  };
  {
    std::vector<std::optional<std::jthread>> beside;
    for (std::size_t i = 1; i < std::min<std::size_t>(count, std::max(most, 1U)); ++i) {
      beside.push_back(try_thread(run));
    }
    run();
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace organ::registry
