// SPDX-License-Identifier: Apache-2.0
// The decisions and the order of steps of gc.h, without a file system: what runs on a registry, and
// on a model of one in the tests.
//
// A writer (publish, pull) holds the registry's lock, shared, from its first look at an object to
// the entry that refers to it. Whoever takes objects away holds it alone, and looks at what there
// is before it looks at what is needed: what a writer added in between is needed, or young.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"
#include "registry/care/gc.h"

namespace organ::registry {

// What may go.
struct GcThing {
  std::string place;  // below the registry
  // What an entry would refer to; zero for an interrupted pull, which none can.
  Digest digest;
  std::uint64_t bytes = 0;
  std::int64_t changed = 0;  // seconds since 1970, by this machine's clock
  std::string why;           // it may go, when nothing needs it
};

// Where it acts. Functions are called in the order in which they stand here, but for origin(),
// which is called behind needed(). What they throw is thrown on.
class GcStore {
 public:
  virtual ~GcStore() = default;
  virtual std::string origin() const = 0;  // of the log: a token is good for one registry
  // From here to the end of this object nobody else adds objects; throws conflict. Not called for
  // a plan.
  virtual void lock() = 0;
  // All that the action could take away, in any order.
  virtual std::vector<GcThing> things(GcAction action) = 0;
  // Digests of things that must stay. Throws corrupt unless all of them are known.
  virtual std::set<Digest> needed(GcAction action) = 0;
  // One of things(). Called once for each that goes, by the order of places.
  virtual void take_away(GcAction action, const GcThing& thing) = 0;
  virtual void finish(GcAction action) = 0;  // makes it durable
};

// As those of gc.h; `now` in seconds since 1970, by this machine's clock. lock(), take_away() and
// finish() are called by apply_gc() alone.
GcPlan plan_gc(GcStore& store, GcAction action, std::int64_t now, unsigned days);
GcPlan apply_gc(GcStore& store, std::string_view token, std::int64_t now);

// What a token says of its plan: collect-DAYS-TIME-DIGEST or purge-DAYS-TIME-DIGEST.
struct GcToken {
  GcAction action = GcAction::collect;
  unsigned days = 0;      // at most 36500
  std::int64_t time = 0;  // of the plan, since 1970: what became old since is not in it
  std::string digest;     // 32 hex digits, of everything that goes
};
GcToken parse_gc_token(std::string_view text);  // throws invalid_argument

}  // namespace organ::registry
