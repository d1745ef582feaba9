// SPDX-License-Identifier: Apache-2.0
// Taking away what nothing refers to, in two steps that a person stands between: a plan, which
// changes nothing, and its execution, which refuses when the plan is no longer true.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "registry/registry.h"

#pragma GCC visibility push(default)

namespace organ::registry {

// collect: objects that no entry refers to go to organ/quarantine/removed, files of interrupted
// pulls go. purge: what lies in the quarantine is deleted.
enum class GcAction { collect, purge };

inline constexpr unsigned kGraceDays = 14;       // collect leaves alone what is younger
inline constexpr unsigned kQuarantineDays = 30;  // purge does

// Sizes in bytes.
struct GcItem {
  std::string place;  // below the registry: blobs/sha256/HEX
  std::uint64_t bytes = 0;
  std::int64_t age = 0;  // seconds since it changed last
  std::string why;
};

struct GcPlan {
  GcAction action = GcAction::collect;
  unsigned days = 0;
  std::string token;  // what apply_gc() is given
  std::vector<GcItem> items;
  std::uint64_t bytes = 0;
  std::uint64_t needed = 0;  // things that stay because something refers to them
  std::uint64_t young = 0;   // because they are too young
  // What was completed behind a writer that died, before anything went.
  std::vector<std::string> notices;
};

// Writes nothing. Throws as Registry::open, corrupt when the log or a manifest cannot be read: what
// that refers to is not known, so nothing may go.
GcPlan plan_gc(const std::filesystem::path& folder, GcAction action, unsigned days,
               const OpenOptions& options = {}, const Work& work = {});

// Does what the plan of this token says, or nothing at all: throws conflict when the same look
// gives another plan now, or somebody adds or reads objects for minutes; invalid_argument for a
// text that is no token. Holds the registry's lock alone. What it took away is returned. Ended by
// force it has done a part of the plan.
GcPlan apply_gc(const std::filesystem::path& folder, const std::string& token,
                const OpenOptions& options = {}, const Work& work = {});

}  // namespace organ::registry

#pragma GCC visibility pop
