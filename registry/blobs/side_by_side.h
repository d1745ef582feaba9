// SPDX-License-Identifier: Apache-2.0
// Several files at one time: sent, fetched or stored.
#pragma once

#include <cstddef>
#include <functional>

namespace organ::registry {

// Calls action(0) … action(count - 1), in order of their beginning, up to `most` at one time. When
// one throws, `stop` is called, the others are waited for, and the first error is thrown.
void side_by_side(std::size_t count, unsigned most, const std::function<void(std::size_t)>& action,
                  const std::function<void()>& stop);

}  // namespace organ::registry
