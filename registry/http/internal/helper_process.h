// SPDX-License-Identifier: Apache-2.0
// A small program that is asked one question: text in, text out.
#pragma once

#include <string>
#include <string_view>

#include "format/base/progress.h"

namespace organ::registry {

struct HelperAnswer {
  int exit_code = 0;  // 128 + signal when one ended it
  std::string output;
};

// Runs `program`, looked for in PATH, with one argument and without a shell; its stderr is ours.
// Throws not_found when there is no such program, io when it answers more than 64 KiB or nothing
// within a minute, or when its exit code cannot be known (this process ignores SIGCHLD, or waits
// for every child elsewhere), cancelled; it is ended then.
HelperAnswer ask_helper(const std::string& program, const std::string& argument,
                        std::string_view input, const Work& work);

}  // namespace organ::registry
