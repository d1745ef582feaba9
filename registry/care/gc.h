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

// The usual `days` of a plan to collect and of one to purge. They are no defaults of plan_gc().
inline constexpr unsigned kGraceDays = 14;
inline constexpr unsigned kQuarantineDays = 30;

// One file that goes, or the folder of one interrupted pull. Sizes in bytes.
struct GcItem {
  // Below the registry: blobs/sha256/HEX, organ/partial/HEX or a file below organ/quarantine.
  std::string place;
  std::uint64_t bytes = 0;
  std::int64_t age = 0;  // seconds since it changed last, when the plan was made
  std::string why;       // it may go: the end of a sentence, for people
};

// What goes, or went, and what of the same kind stays.
struct GcPlan {
  GcAction action = GcAction::collect;
  unsigned days = 0;  // what changed within them stays
  // What apply_gc() is given. Good for this registry, and for as long as the same items would go by
  // the clock of the plan.
  std::string token;
  std::vector<GcItem> items;  // by place
  std::uint64_t bytes = 0;    // of all items
  // Number of things that stay because something refers to them; of the quarantine, because the
  // object itself is missing or damaged and this may be its last good copy.
  std::uint64_t needed = 0;
  // Number of things that stay because they are too young, or from a time to come.
  std::uint64_t young = 0;
  // What was completed behind a writer that died, before anything went. Of apply_gc() alone.
  std::vector<std::string> notices;
};

// Writes nothing and takes no lock. `days` is how old a thing has to be to go; 0: any age. Throws
// as Registry::open, invalid_argument beyond 36500 days, corrupt when the log or a manifest cannot
// be read: what that refers to is not known, so nothing may go.
GcPlan plan_gc(const std::filesystem::path& folder, GcAction action, unsigned days,
               const OpenOptions& options = {}, const Work& work = {});

// Does what the plan of this token says, or nothing at all: throws conflict when the same look
// gives another plan now, this machine's clock is behind the plan's, or somebody adds or reads
// objects for minutes; invalid_argument for a text that is no token; corrupt as plan_gc(). Holds
// the registry's lock alone. What it took away is returned. Ended by force it has done a part of
// the plan.
GcPlan apply_gc(const std::filesystem::path& folder, const std::string& token,
                const OpenOptions& options = {}, const Work& work = {});

}  // namespace organ::registry

#pragma GCC visibility pop
