// SPDX-License-Identifier: Apache-2.0
// A run folder is one run's at a time: two would remove each other's train states and log.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>

namespace organ::train {

// Makes the folder and holds its lock, `.lock`, until the last copy of what it returns is gone; the
// file goes with it. Where the file system has no locks `warn` is told, and nothing is held. Throws
// conflict when another run holds it, io.
std::shared_ptr<const void> lock_run_folder(const std::filesystem::path& folder,
                                            const std::function<void(std::string_view)>& warn);

}  // namespace organ::train
