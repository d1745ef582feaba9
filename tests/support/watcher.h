// SPDX-License-Identifier: Apache-2.0
// Watching long work in tests: what it tells, and that ending it at any step leaves nothing behind.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "format/base/digest.h"
#include "format/base/error.h"
#include "format/base/file.h"
#include "format/base/progress.h"

namespace organ::test {

// Notes what the work says, and asks it to end after `most_steps` calls of advance().
class Watcher final : public Progress {
 public:
  static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();
  struct Phase {
    std::string name;
    std::uint64_t total = 0;
    std::uint64_t done = 0;
    bool beyond = false;  // done was more than total at some time
  };

  explicit Watcher(std::uint64_t most_steps = kNever) : most_steps_(most_steps) {}

  void begin(std::string_view phase, std::uint64_t total, Unit /*unit*/) override {
    const std::lock_guard lock(mutex_);
    phases_.push_back({std::string(phase), total, 0, false});
  }
  void advance(std::uint64_t amount) override {
    const std::lock_guard lock(mutex_);
    ++steps_;
    if (phases_.empty()) return;
    Phase& phase = phases_.back();
    phase.done += amount;
    phase.beyond = phase.beyond || phase.done > phase.total;
  }
  bool cancelled() const override {
    const std::lock_guard lock(mutex_);
    return steps_ >= most_steps_;
  }

  const std::vector<Phase>& phases() const { return phases_; }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const Phase& phase : phases_) names.push_back(phase.name);
    return names;
  }
  std::uint64_t steps() const { return steps_; }

 private:
  mutable std::mutex mutex_;
  std::uint64_t most_steps_;
  std::uint64_t steps_ = 0;
  std::vector<Phase> phases_;
};

// Every phase did just what it announced.
inline void check_phases(const Watcher& watcher) {
  CHECK_FALSE(watcher.phases().empty());
  for (const Watcher::Phase& phase : watcher.phases()) {
    CAPTURE(phase.name);
    CHECK_FALSE(phase.beyond);
    CHECK(phase.done == phase.total);
  }
}

// Type, permissions and content of everything below a folder, by path. Locks are open for whoever
// holds them last to write his name into.
inline std::map<std::string, std::string> tree_of(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  std::map<std::string, std::string> tree;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const auto mode = static_cast<unsigned>(entry.symlink_status().permissions());
    std::string text = (entry.is_directory() ? "folder " : "file ") + std::to_string(mode);
    const bool lock = entry.path().filename() == "lock" || entry.path().extension() == ".lock";
    if (entry.is_regular_file() && !lock) {
      const UniqueFd fd = open_regular(entry.path(), Symlinks::refuse);
      text += " " + hash_file_flat(fd.get(), "file").hex();
    }
    tree.emplace(entry.path().lexically_relative(folder).string(), std::move(text));
  }
  return tree;
}

// Ends `action(work)` after 0, 1, 2, … steps until it comes through, and expects that each time
// `folder` is what it was. Returns how many steps there were to end it at.
template <typename Action>
std::uint64_t end_at_every_step(const std::filesystem::path& folder, const Action& action) {
  const auto before = tree_of(folder);
  for (std::uint64_t step = 0;; ++step) {
    Watcher watcher(step);
    try {
      action(Work(&watcher, 1));
      return step;
    } catch (const Error& error) {
      CAPTURE(step);
      REQUIRE(error.code() == ErrorCode::cancelled);
      REQUIRE(tree_of(folder) == before);
    }
  }
}

}  // namespace organ::test
