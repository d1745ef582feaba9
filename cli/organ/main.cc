// SPDX-License-Identifier: Apache-2.0
#include <csignal>

#include "cli/frame/program.h"
#include "cli/organ/commands.h"

int main(int argc, char** argv) {
  // Who started us may ignore it, which exec hands on: helpers would have no exit code.
  std::signal(SIGCHLD, SIG_DFL);
  return organ::cli::run_program(organ::cli::kCommands, argc, argv);
}
