// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/long_work.h"

#include <CLI/CLI.hpp>

namespace organ::cli {

void throw_interrupted() { throw Error(ErrorCode::cancelled, "interrupted: nothing was changed"); }

void add_threads_option(CLI::App* command, unsigned& threads) {
  command->add_option("--threads", threads, "how many threads hash at one time; 0: all cores")
      ->check(CLI::Range(0u, 1024u))
      ->type_name("N")
      ->capture_default_str();
}

}  // namespace organ::cli
