// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/long_work.h"

#include "cli/frame/command.h"

namespace organ::cli {

void throw_interrupted() { throw Error(ErrorCode::cancelled, "interrupted: nothing was changed"); }

void add_threads_option(Command& command, unsigned& threads) {
  command.add_option("--threads", threads, "how many threads hash at one time; 0: all cores")
      .within(0, 1024)
      .value_name("N")
      .show_default();
}

}  // namespace organ::cli
