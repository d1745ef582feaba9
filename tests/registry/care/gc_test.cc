// SPDX-License-Identifier: Apache-2.0
// gc on a registry's folder.
#include "registry/care/gc.h"

#include <chrono>
#include <functional>
#include <optional>
#include <thread>

#include "registry/care/fsck.h"
#include "registry/care/repair.h"
#include "registry/care/stats.h"
#include "registry/registry_paths.h"
#include "registry/remote/download.h"
#include "tests/registry/support.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;

namespace {

const fs::path kRemoved = "organ/quarantine/removed";

// An object that nothing refers to.
Digest add_orphan(const Fixture& fixture, const std::string& text) {
  const Digest digest = sha256(text);
  std::ofstream(fixture.blob(digest)) << text;
  return digest;
}

bool is_well(const Fixture& fixture) {
  const FsckReport report = fsck(fixture.root);
  return report.objects.empty() && report.records.empty() && report.views.empty();
}

std::string code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return std::string(to_string(error.code()));
  }
  return "nothing";
}

// Wants an end from one question on.
class InterruptedAt final : public Progress {
 public:
  explicit InterruptedAt(std::size_t questions) : left_(questions) {}
  void begin(std::string_view, std::uint64_t, Unit) override {}
  void advance(std::uint64_t) override {}
  bool cancelled() const override {
    if (left_ == 0) return true;
    --left_;
    return false;
  }

 private:
  mutable std::size_t left_;
};

// Waits for a second.
class Impatient final : public Progress {
 public:
  void begin(std::string_view, std::uint64_t, Unit) override {}
  void advance(std::uint64_t) override {}
  bool cancelled() const override {
    return std::chrono::steady_clock::now() > start_ + std::chrono::seconds(1);
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

TEST_CASE("gc: a plan changes nothing; its token takes away what it lists, and once") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const Digest orphan = add_orphan(fixture, "nobody's");
  const GcPlan plan = plan_gc(fixture.root, GcAction::collect, 0);
  REQUIRE(plan.items.size() == 1);
  CHECK(plan.items[0].place == "blobs/sha256/" + orphan.hex());
  CHECK(plan.bytes == 8);
  CHECK(fs::exists(fixture.blob(orphan)));
  CHECK(!fs::exists(fixture.root / "organ/quarantine"));
  CHECK(apply_gc(fixture.root, plan.token).bytes == 8);
  CHECK(!fs::exists(fixture.blob(orphan)));
  CHECK(slurp(fixture.root / kRemoved / orphan.hex()) == "nobody's");
  CHECK(code_of([&] { apply_gc(fixture.root, plan.token); }) == "conflict");
  CHECK(is_well(fixture));

  CHECK(plan_gc(fixture.root, GcAction::purge, 30).items.empty());
  const GcPlan purge = plan_gc(fixture.root, GcAction::purge, 0);
  REQUIRE(purge.items.size() == 1);
  CHECK(apply_gc(fixture.root, purge.token).bytes == 8);
  CHECK(!fs::exists(fixture.root / kRemoved / orphan.hex()));
  CHECK(is_well(fixture));
}

TEST_CASE("gc: what is young stays, and everything that an entry refers to") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  fixture.publish("1.1.0");
  fixture.open().withdraw(Registry::Withdrawal::revoke, "legal/contracts",
                          format::Version::parse("1.0.0"), "a draft");
  fixture.open().withdraw(Registry::Withdrawal::yank, "legal/contracts",
                          format::Version::parse("1.1.0"), "another");
  add_orphan(fixture, "young");
  CHECK(plan_gc(fixture.root, GcAction::collect, 14).items.empty());
  const GcPlan plan = plan_gc(fixture.root, GcAction::collect, 0);
  CHECK(plan.items.size() == 1);
  const StoreStats before = store_stats(fixture.root);
  apply_gc(fixture.root, plan.token);
  const StoreStats after = store_stats(fixture.root);
  CHECK(after.objects == before.objects);
  CHECK(after.stored == before.stored);
  CHECK(after.orphans == 0);
  CHECK(after.quarantined == 5);
  CHECK(verify_all(fixture).find("corrupt") == std::string::npos);
}

TEST_CASE("gc: a plan that is no longer true is refused, and nothing goes") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const fs::path blobs = fixture.root / "blobs/sha256";
  // Objects of a version to come, as a publisher that died left them.
  const Fixture other;
  other.publish("1.0.0", "legal/other");
  for (const auto& entry : fs::directory_iterator(other.root / "blobs/sha256")) {
    if (!fs::exists(blobs / entry.path().filename())) {
      fs::copy_file(entry.path(), blobs / entry.path().filename());
    }
  }
  const GcPlan plan = plan_gc(fixture.root, GcAction::collect, 0);
  CHECK(plan.items.size() > 1);
  SUBCASE("something in it is referred to now") { fixture.publish("1.0.0", "legal/other"); }
  SUBCASE("something in it changed") { spill(fixture.root / plan.items[0].place, "other bytes"); }
  SUBCASE("something in it is gone") { fs::remove(fixture.root / plan.items[0].place); }
  std::size_t before = 0, after = 0;
  for (const auto& entry : fs::directory_iterator(blobs)) before += entry.exists() ? 1 : 0;
  CHECK(code_of([&] { apply_gc(fixture.root, plan.token); }) == "conflict");
  for (const auto& entry : fs::directory_iterator(blobs)) after += entry.exists() ? 1 : 0;
  CHECK(before == after);
  CHECK(is_well(fixture));
}

TEST_CASE("gc: a publish that does not touch the plan leaves it true") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  add_orphan(fixture, "nobody's");
  const GcPlan plan = plan_gc(fixture.root, GcAction::collect, 0);
  fixture.publish("1.1.0");
  CHECK(apply_gc(fixture.root, plan.token).items.size() == 1);
  CHECK(is_well(fixture));
}

TEST_CASE("gc: nothing goes while it is not known what is needed") {
  const Fixture fixture;
  const PublishResult result = fixture.publish("1.0.0");
  add_orphan(fixture, "nobody's");
  const GcPlan plan = plan_gc(fixture.root, GcAction::collect, 0);
  SUBCASE("a manifest is damaged") { spill(fixture.blob(result.digest), "{}"); }
  SUBCASE("a manifest is missing") { fs::remove(fixture.blob(result.digest)); }
  SUBCASE("the log is damaged") {
    std::string log = slurp(fixture.root / "organ/log");
    log[log.size() - 5] ^= 1;
    spill(fixture.root / "organ/log", log);
  }
  CHECK(code_of([&] { plan_gc(fixture.root, GcAction::collect, 0); }) == "corrupt");
  CHECK(code_of([&] { apply_gc(fixture.root, plan.token); }) == "corrupt");
  CHECK(fs::exists(fixture.blob(sha256("nobody's"))));
}

TEST_CASE("gc: whoever adds objects keeps it out") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  add_orphan(fixture, "nobody's");
  const GcPlan plan = plan_gc(fixture.root, GcAction::collect, 0);
  Impatient progress;
  {
    const FileLock publisher = share_store({fixture.root}, {});
    CHECK(code_of([&] { apply_gc(fixture.root, plan.token, {}, Work(&progress)); }) == "cancelled");
    CHECK(fs::exists(fixture.blob(sha256("nobody's"))));
    // The holder may ask for it once more while gc waits.
    const FileLock again = share_store({fixture.root}, {});
  }
  apply_gc(fixture.root, plan.token);
  CHECK(!fs::exists(fixture.blob(sha256("nobody's"))));
}

TEST_CASE("gc: who holds the lock already gets it again while gc waits for it") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  add_orphan(fixture, "nobody's");
  const GcPlan plan = plan_gc(fixture.root, GcAction::collect, 0);
  std::optional<FileLock> pulling = share_store({fixture.root}, {});
  std::thread gc([&] { apply_gc(fixture.root, plan.token); });
  // Behind it: the gate is shut by then, and opens for a moment every ten seconds.
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  fixture.publish("1.1.0");
  pulling.reset();
  gc.join();
  CHECK(!fs::exists(fixture.blob(sha256("nobody's"))));
  CHECK(is_well(fixture));
}

TEST_CASE("gc: files of interrupted pulls go when they are old, into no quarantine") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const fs::path partial = fixture.root / "organ/partial" / sha256("a version").hex();
  fs::create_directories(partial);
  std::ofstream(partial / sha256("a file").hex()) << "half";
  CHECK(plan_gc(fixture.root, GcAction::collect, 14).items.empty());
  const GcPlan plan = plan_gc(fixture.root, GcAction::collect, 0);
  REQUIRE(plan.items.size() == 1);
  CHECK(plan.bytes == 4);
  SUBCASE("nobody pulls") {
    apply_gc(fixture.root, plan.token);
    CHECK(!fs::exists(partial));
  }
  SUBCASE("somebody of an older organ pulls into it") {
    std::ofstream(partial / "lock") << "";
    const FileLock pulling(partial / "lock", FileLock::Kind::exclusive);
    apply_gc(fixture.root, plan_gc(fixture.root, GcAction::collect, 0).token);
    CHECK(fs::exists(partial / sha256("a file").hex()));
  }
}

TEST_CASE("gc: the last copy of what a version misses is not purged") {
  const Fixture fixture;
  const PublishResult result = fixture.publish("1.0.0");
  // Only the object of the version's README or of a layer: what it refers to stays known.
  const auto organ =
      fixture.open(Registry::Mode::read)
          .open_organ(fixture.open(Registry::Mode::read)
                          .resolve({"legal/contracts", format::Version::parse("1.0.0")}))
          ->manifest();
  const Digest digest = organ.files.front().digest;
  fs::create_directories(fixture.root / kRemoved);
  fs::copy_file(fixture.blob(digest), fixture.root / kRemoved / digest.hex());
  CHECK(plan_gc(fixture.root, GcAction::purge, 0).items.size() == 1);
  SUBCASE("missing") { fs::remove(fixture.blob(digest)); }
  SUBCASE("damaged") { spill(fixture.blob(digest), slurp(fixture.blob(digest)) + "x"); }
  const GcPlan plan = plan_gc(fixture.root, GcAction::purge, 0);
  CHECK(plan.items.empty());
  CHECK(plan.needed == 1);
}

TEST_CASE("gc: nothing outside of the registry goes, whatever is a link") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const fs::path outside = fixture.folder.path() / "outside", organ = fixture.root / "organ";
  const std::string name = sha256("outside").hex();
  fs::create_directories(outside / name);
  std::ofstream(outside / name / "theirs") << "theirs";
  std::ofstream(outside / sha256("file").hex()) << "theirs";
  const auto demand_kept = [&] {
    CHECK(slurp(outside / name / "theirs") == "theirs");
    CHECK(slurp(outside / sha256("file").hex()) == "theirs");
  };
  const Digest orphan = add_orphan(fixture, "nobody's");
  const GcPlan plan = plan_gc(fixture.root, GcAction::collect, 0);
  for (const char* place : {"partial", "quarantine", "quarantine/removed", "quarantine/damaged"}) {
    CAPTURE(place);
    fs::create_directories((organ / place).parent_path());
    fs::create_directory_symlink(outside, organ / place);
    for (const GcAction action : {GcAction::collect, GcAction::purge}) {
      if (action == GcAction::purge && std::string(place) == "partial") continue;
      CHECK(code_of([&] { plan_gc(fixture.root, action, 0); }) == "corrupt");
    }
    CHECK(code_of([&] { apply_gc(fixture.root, plan.token); }) == "corrupt");
    if (std::string(place) != "partial") {
      CHECK(code_of([&] { repair(fixture.root, {}); }) == "corrupt");
    } else {
      CHECK(code_of([&] { PartialFolder::remove_old(fixture.root); }) == "corrupt");
    }
    CHECK(fs::exists(fixture.blob(orphan)));
    demand_kept();
    fs::remove(organ / place);
    fs::remove(organ / "quarantine");
  }
  // Below a folder of ours: a link by the name of a version, and folders that are of no version.
  fs::create_directories(organ / "partial/theirs");
  fs::create_directory_symlink(outside, organ / "partial" / sha256("link").hex());
  apply_gc(fixture.root, plan_gc(fixture.root, GcAction::collect, 0).token);
  fs::last_write_time(outside, fs::file_time_type::clock::now() - std::chrono::hours(24 * 30));
  PartialFolder::remove_old(fixture.root);
  CHECK(fs::exists(organ / "partial/theirs"));
  CHECK(!fs::exists(fixture.blob(orphan)));
  demand_kept();
}

TEST_CASE("gc: a folder in an object's place in the quarantine gives way") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const Digest orphan = add_orphan(fixture, "nobody's");
  fs::create_directories(fixture.root / kRemoved / orphan.hex() / "kept");
  apply_gc(fixture.root, plan_gc(fixture.root, GcAction::collect, 0).token);
  CHECK(slurp(fixture.root / kRemoved / orphan.hex()) == "nobody's");
  CHECK(fs::exists(fixture.root / kRemoved / (orphan.hex() + ".other0") / "kept"));
}

TEST_CASE("gc: from the token's match on nothing ends it") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  for (const char* text : {"one", "two", "three"}) add_orphan(fixture, text);
  const GcPlan plan = plan_gc(fixture.root, GcAction::collect, 0);
  REQUIRE(plan.items.size() == 3);
  // Interrupted at every question: nothing is taken away, or all.
  for (std::size_t questions = 0;; ++questions) {
    REQUIRE(questions < 1000);
    InterruptedAt progress(questions);
    const bool ended =
        code_of([&] { apply_gc(fixture.root, plan.token, {}, Work(&progress, 1)); }) != "cancelled";
    std::size_t left = 0;
    for (const GcItem& item : plan.items) left += fs::exists(fixture.root / item.place) ? 1 : 0;
    CHECK(left == (ended ? 0 : 3));
    if (ended) break;
  }
}
