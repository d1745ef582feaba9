// SPDX-License-Identifier: Apache-2.0
// Threads that make work faster but are not needed for it.
#pragma once

#include <optional>
#include <system_error>
#include <thread>
#include <utility>

namespace organ {

// A thread that runs `action`, or nothing when the system has none to give (a limit of the user or
// the container): the caller then does the work itself. `action` may take a std::stop_token.
template <typename Action>
std::optional<std::jthread> try_thread(Action&& action) {
  try {
    return std::jthread(std::forward<Action>(action));
  } catch (const std::system_error&) {
    return std::nullopt;
  }
}

}  // namespace organ
