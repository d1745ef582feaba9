// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/internal/run_folder_lock.h"

#include <system_error>

#include <fmt/core.h>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"

namespace organ::train {
namespace {

class Held {
 public:
  explicit Held(const std::filesystem::path& path)
      : path_(path), lock_(path, FileLock::Kind::exclusive, 0) {}
  ~Held() {
    std::error_code ignored;  // a file that stays locks nothing
    std::filesystem::remove(path_, ignored);
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

 private:
  std::filesystem::path path_;
  FileLock lock_;
};

}  // namespace

std::shared_ptr<const void> lock_run_folder(const std::filesystem::path& folder,
                                            const std::function<void(std::string_view)>& warn) {
  create_folders(folder);
  try {
    return std::make_shared<Held>(folder / ".lock");
  } catch (const Error& error) {
    if (error.code() == ErrorCode::conflict) {
      throw Error(ErrorCode::conflict,
                  fmt::format("{}: another run is at work there: {}", quote(folder.string()),
                              error.message()),
                  "wait for it, or choose another --run-dir");
    }
    warn(fmt::format("{}: cannot be locked ({}): let no other run use it", quote(folder.string()),
                     error.message()));
  }
  return nullptr;
}

}  // namespace organ::train
