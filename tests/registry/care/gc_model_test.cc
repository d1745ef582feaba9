// SPDX-License-Identifier: Apache-2.0
// gc's own decisions and order of steps (gc_protocol.h) on a model of a registry in memory, between
// the steps of publishers, pulls and readers, which may die at any of them.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "format/base/error.h"
#include "registry/care/gc_protocol.h"
#include "registry/log/moment.h"

using namespace organ;
using namespace organ::registry;

namespace {

constexpr auto kOneDay = static_cast<std::int64_t>(kDay);

std::vector<Digest> universe() {
  constexpr std::size_t kDigests = 9;
  std::vector<Digest> digests;
  digests.reserve(kDigests);
  for (std::size_t i = 0; i < kDigests; ++i) digests.push_back(sha256(std::to_string(i)));
  return digests;
}

struct Rules {
  bool writers_lock = true;  // publishers hold the lock while they rely on an object
  bool gc_looks_again = true;
};

// What the folder holds, and who holds its lock.
struct Folder {
  std::map<Digest, std::int64_t> blobs, quarantine;  // when they changed
  std::vector<std::vector<Digest>> log;
  std::int64_t now = 1000 * kOneDay;
  int shared = 0;
  bool exclusive = false;

  bool is_whole() const {
    return std::ranges::all_of(log, [&](const auto& objects) {
      return std::ranges::all_of(objects, [&](const Digest& one) { return blobs.contains(one); });
    });
  }
  std::set<Digest> referred() const {
    std::set<Digest> all;
    for (const auto& objects : log) all.insert(objects.begin(), objects.end());
    return all;
  }
};

struct Killed {};

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t count) { return engine_() % count; }
  bool one_in(std::size_t count) { return below(count) == 0; }

 private:
  std::mt19937_64 engine_;
};

// publish or pull: lock, look at each object, name those that are not there, the entry.
class Publisher {
 public:
  Publisher(Folder& folder, Random& random, Rules rules)
      : folder_(folder), random_(random), rules_(rules) {}

  // Returns false when an object that it relied on is gone.
  bool step(const std::vector<Digest>& universe) {
    if (step_ > 0 && random_.one_in(25)) return end();  // dies
    if (step_ == 0) return begin(universe);
    if (looked_ < objects_.size()) {
      const Digest& object = objects_[looked_++];
      if (!folder_.blobs.contains(object)) missing_.push_back(object);
      return true;
    }
    if (!missing_.empty()) {
      folder_.blobs.try_emplace(missing_.back(), folder_.now);
      missing_.pop_back();
      return true;
    }
    for (const Digest& object : objects_) {
      if (!folder_.blobs.contains(object)) return end(), false;  // read back before the entry
    }
    folder_.log.push_back(objects_);
    return end();
  }
  bool end() {
    if (step_ > 0 && rules_.writers_lock) --folder_.shared;
    step_ = 0;
    return true;
  }

 private:
  bool begin(const std::vector<Digest>& universe) {
    if (!random_.one_in(8)) return true;
    if (rules_.writers_lock && folder_.exclusive) return true;  // waits
    if (rules_.writers_lock) ++folder_.shared;
    step_ = 1;
    looked_ = 0;
    missing_.clear();
    objects_.clear();
    for (int i = 0; i < 3; ++i) objects_.push_back(universe[random_.below(universe.size())]);
    return true;
  }

  Folder& folder_;
  Random& random_;
  Rules rules_;
  int step_ = 0;
  std::size_t looked_ = 0;
  std::vector<Digest> objects_, missing_;
};

class ModelStore final : public GcStore {
 public:
  ModelStore(Folder& folder, std::function<void()> others, std::function<bool()> dies)
      : folder_(folder), others_(std::move(others)), dies_(std::move(dies)) {}
  ~ModelStore() override {
    if (locked_) folder_.exclusive = false;
  }

  std::string origin() const override { return "organ-registry/model"; }
  void lock() override {
    if (folder_.shared > 0) throw Error(ErrorCode::conflict, "held by others");
    locked_ = folder_.exclusive = true;
  }
  std::vector<GcThing> things(GcAction action) override {
    std::vector<GcThing> things;
    for (const auto& [digest, changed] : of(action)) {
      things.push_back({digest.hex(), digest, 1, changed, "nothing needs it"});
    }
    others_();
    return things;
  }
  std::set<Digest> needed(GcAction action) override {
    std::set<Digest> all = folder_.referred();
    if (action == GcAction::purge) {
      std::erase_if(all, [&](const Digest& one) { return folder_.blobs.contains(one); });
    }
    others_();
    return all;
  }
  void take_away(GcAction action, const GcThing& thing) override {
    if (dies_()) throw Killed();
    of(action).erase(thing.digest);
    if (action == GcAction::collect) folder_.quarantine[thing.digest] = folder_.now;
    others_();
  }
  void finish(GcAction) override {}

 private:
  std::map<Digest, std::int64_t>& of(GcAction action) {
    return action == GcAction::purge ? folder_.quarantine : folder_.blobs;
  }

  Folder& folder_;
  std::function<void()> others_;
  std::function<bool()> dies_;
  bool locked_ = false;
};

// One run of random steps of everybody.
class Interleaving {
 public:
  Interleaving(std::uint64_t seed, Rules rules)
      : random_(seed), rules_(rules), publishers_(2, Publisher(folder_, random_, rules)) {}

  // What went wrong; empty when nothing did.
  std::string run(int steps) {
    for (int i = 0; i < steps && problem_.empty(); ++i) {
      if (random_.one_in(6)) {
        gc();
      } else {
        other();
      }
    }
    for (Publisher& publisher : publishers_) publisher.end();
    if (problem_.empty()) clean_up();
    return problem_;
  }
  std::uint64_t taken() const { return taken_; }

 private:
  void other() {
    if (random_.one_in(8)) folder_.now += static_cast<std::int64_t>(random_.below(20)) * kOneDay;
    if (random_.one_in(12)) {  // what somebody else put there
      folder_.blobs.try_emplace(universe_[random_.below(universe_.size())], folder_.now);
    }
    if (!publishers_[random_.below(publishers_.size())].step(universe_)) {
      problem_ = "an object that a publisher relied on is gone";
    }
    if (!folder_.is_whole()) problem_ = "an object that an entry refers to is gone";
  }

  ModelStore store(bool undisturbed = false) {
    return {folder_,
            [this, undisturbed] {
              if (!undisturbed && random_.one_in(2)) other();
            },
            [this, undisturbed] { return !undisturbed && random_.one_in(10); }};
  }

  void gc() {
    try {
      if (token_.empty() || random_.one_in(3)) {
        const GcAction action = random_.one_in(4) ? GcAction::purge : GcAction::collect;
        constexpr unsigned kDays[] = {0, 0, 1, 14};
        ModelStore looked = store();
        const GcPlan plan = plan_gc(looked, action, folder_.now, kDays[random_.below(4)]);
        token_ = plan.token;
        planned_ = plan;
        return;
      }
      ModelStore acting = store();
      if (rules_.gc_looks_again) {
        taken_ += apply_gc(acting, token_, folder_.now).items.size();
      } else {
        acting.lock();
        for (const GcItem& item : planned_.items) {
          acting.take_away(planned_.action, {item.place, Digest::parse_hex(item.place), 1, 0, ""});
        }
      }
    } catch (const Error& error) {
      if (error.code() != ErrorCode::conflict) throw;
      if (folder_.shared > 0) return;  // it tries again
    } catch (const Killed&) {
      ++taken_;
    }
    token_.clear();
  }

  // Two rounds, and nothing is left that nothing needs.
  void clean_up() {
    for (const GcAction action : {GcAction::collect, GcAction::purge}) {
      folder_.now += 100 * kOneDay;
      ModelStore quiet = store(true);
      const std::string token = plan_gc(quiet, action, folder_.now, 14).token;
      apply_gc(quiet, token, folder_.now);
    }
    const std::set<Digest> referred = folder_.referred();
    for (const auto& [digest, changed] : folder_.blobs) {
      if (!referred.contains(digest)) problem_ = "garbage is left";
    }
    if (!folder_.quarantine.empty()) problem_ = "the quarantine is not empty";
    if (!folder_.is_whole()) problem_ = "an object that an entry refers to is gone";
  }

  Random random_;
  Rules rules_;
  Folder folder_;
  std::vector<Digest> universe_ = universe();
  std::vector<Publisher> publishers_;
  std::string token_, problem_;
  GcPlan planned_;
  std::uint64_t taken_ = 0;
};

// How many of so many interleavings go wrong.
int wrong(int count, Rules rules, std::string& first) {
  int found = 0;
  for (int seed = 0; seed < count; ++seed) {
    Interleaving one(static_cast<std::uint64_t>(seed), rules);
    const std::string problem = one.run(40);
    if (problem.empty()) continue;
    if (found++ == 0) first = "seed " + std::to_string(seed) + ": " + problem;
  }
  return found;
}

}  // namespace

TEST_CASE("gc: in 100,000 interleavings nothing that is needed goes, and all that is not") {
  std::string first;
  std::uint64_t taken = 0;
  for (std::uint64_t seed = 0; seed < 100'000 && first.empty(); ++seed) {
    Interleaving one(seed, {});
    const std::string problem = one.run(40);
    if (!problem.empty()) first = "seed " + std::to_string(seed) + ": " + problem;
    taken += one.taken();
  }
  CHECK(first == "");
  CHECK(taken > 10'000);
}

TEST_CASE("gc: the model finds what goes wrong without each of the rules") {
  std::string first;
  CHECK(wrong(2'000, {.writers_lock = false, .gc_looks_again = true}, first) > 0);
  CHECK(wrong(2'000, {.writers_lock = true, .gc_looks_again = false}, first) > 0);
}

TEST_CASE("gc: a token says one plan of one registry, and nothing else") {
  Folder folder;
  folder.blobs = {{sha256("a"), folder.now - 20 * kOneDay},
                  {sha256("b"), folder.now - 3 * kOneDay}};
  const auto quiet = [] {};
  const auto lives = [] { return false; };
  ModelStore store(folder, quiet, lives);
  const GcPlan plan = plan_gc(store, GcAction::collect, folder.now, 14);
  REQUIRE(plan.items.size() == 1);
  CHECK(plan.young == 1);
  CHECK(plan.items[0].place == sha256("a").hex());
  CHECK(plan.items[0].age == 20 * kOneDay);
  for (std::size_t i = 0; i < plan.token.size(); ++i) {
    std::string other = plan.token;
    other[i] = other[i] == '0' ? '1' : '0';
    CHECK_THROWS_AS(apply_gc(store, other, folder.now), Error);
    CHECK(folder.blobs.size() == 2);
  }
  CHECK_THROWS_AS(apply_gc(store, plan.token, folder.now - 1), Error);
  // What became old since the plan is not in it.
  folder.now += 30 * kOneDay;
  CHECK(apply_gc(store, plan.token, folder.now).items.size() == 1);
  CHECK(folder.blobs.size() == 1);
  CHECK_THROWS_AS(apply_gc(store, plan.token, folder.now), Error);
}
