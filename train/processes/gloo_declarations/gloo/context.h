// SPDX-License-Identifier: Apache-2.0
// LibTorch's wheel holds c10d's header of the gloo process group but not the gloo headers that it
// includes, although the library itself holds gloo. These five files declare just the names that
// the header mentions; nothing of gloo is called or laid out here: a process group is made by
// exported functions of c10d and keeps gloo's objects behind pointers.
#pragma once

#include <chrono>

namespace gloo {

class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
};

}  // namespace gloo
