// SPDX-License-Identifier: Apache-2.0
// organ-train, the program that holds the commands that need LibTorch, as organ runs it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace organ::cli {

// Where organ-train lies (beside this executable, else in libexec), if it was built. Without /proc
// nobody knows where this executable is: nothing.
std::optional<std::filesystem::path> find_train_program();

// What `organ-train ARGUMENT...` prints on stdout, 64 KiB at most, in the environment of
// exec_train_program, which this process has from here on. Throws io with the last line that it
// wrote to stderr, the loader's where a library is missing, when it cannot be started or fails.
std::string output_of(const std::filesystem::path& program, std::vector<std::string> arguments);

// Becomes organ-train with these arguments and the same environment, but for how its threads wait
// (internal/spinning.h); does not return. Throws not_found when it is not there, and io when the
// loader cannot start it, which is tried before: behind it there is nobody left who could say more
// than the loader does.
[[noreturn]] void exec_train_program(std::vector<std::string> arguments);

}  // namespace organ::cli
