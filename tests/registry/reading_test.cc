// SPDX-License-Identifier: Apache-2.0
// What verify_all() reads, and what it need not read again.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <set>

#include <nlohmann/json.hpp>

#include "format/base/path_status.h"
#include "format/organ/organ_source.h"
#include "registry/blobs/blob_store.h"
#include "registry/blobs/read_memory.h"
#include "registry/care/fsck.h"
#include "registry/care/repair.h"
#include "tests/registry/support.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;
using Mode = Registry::Mode;

namespace {

constexpr std::uint64_t kHour = 3600;

struct World : Fixture {
  fs::path memory = folder.path() / "state" / "read";
  format::FileEntry weights = [this] {
    const auto organ = format::OrganFolder::open(organ_folder);
    return *std::ranges::find(organ.manifest().files, format::FileRole::layer,
                              &format::FileEntry::role);
  }();
  std::uint64_t all_files = [this] {
    return format::verified_size(format::OrganFolder::open(organ_folder).manifest());
  }();

  VerifyReport look(std::optional<std::uint64_t> after = std::nullopt) const {
    return remembering().verify_all({}, {}, after);
  }
  Registry remembering() const { return Registry::open(root, Mode::read, {.read_memory = memory}); }
  fs::path object() const { return blob(weights.digest); }
  void flip() const {
    std::string bytes = slurp(object());
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    spill(object(), bytes);
  }
  fs::path file() const { return memory / list_folder(memory).front(); }  // and a lock
  // As a disk does that changes bytes by itself.
  void rot() const {
    flip();
    const auto now = file_stamp(object());
    REQUIRE(now);
    remember([&](auto& object) {
      object["modified"] = now->modified;
      object["changed"] = now->changed;
    });
  }
  // Changes what is remembered of the weights.
  void remember(const std::function<void(nlohmann::json&)>& change) const {
    auto known = nlohmann::json::parse(slurp(file()));
    for (auto& object : known["objects"]) {
      if (object["size"] == weights.size) change(object);
    }
    spill(file(), known.dump());
  }
};

std::string established(const VerifyReport& report) {
  std::string text;
  for (const auto& item : report.items) {
    for (const std::string& sentence : item.trust.established) text += sentence + "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("reading: what versions share is read once") {
  const World world;
  world.publish("1.0.0");
  const std::uint64_t one = world.look().bytes;
  CHECK(one > world.all_files);
  world.publish("1.1.0");
  const VerifyReport both = world.look();
  CHECK(both.versions == 2);
  CHECK(both.bytes - world.all_files == 2 * (one - world.all_files));
  CHECK(both.bytes_before == 0);
  world.flip();  // and damage is of both
  const VerifyReport damaged = world.look();
  CHECK(std::ranges::count_if(damaged.items,
                              [](const auto& item) { return !item.findings.empty(); }) == 2);
}

TEST_CASE("reading: what was read lately is taken for read when that is asked for") {
  const World world;
  world.publish("1.0.0");
  CHECK(world.look(kHour).bytes_before == 0);  // nothing was read before
  const VerifyReport again = world.look(kHour);
  CHECK(again.bytes_before == world.all_files);
  CHECK(again.bytes < world.all_files);
  CHECK(all_findings(again) == "no finding");
  CHECK(contains(established(again), "every byte is what organ.json says; some were read at 20"));

  const VerifyReport all = world.look();
  CHECK(all.bytes_before == 0);
  CHECK(contains(established(all), "every byte is what organ.json says\n"));

  SUBCASE("not what was read longer ago") {
    world.remember([](auto& object) {
      object["read"] = object["read"].template get<std::uint64_t>() - 2 * kHour;
    });
    CHECK(world.look(kHour).bytes_before == world.all_files - world.weights.size);
    CHECK(world.look(kHour).bytes_before == world.all_files);
  }
  SUBCASE("nor at a time to come") {
    world.remember([](auto& object) {
      object["read"] = object["read"].template get<std::uint64_t>() + kHour;
    });
    CHECK(world.look(2 * kHour).bytes_before == world.all_files - world.weights.size);
  }
  SUBCASE("nor what was written since, whatever its time says") {
    struct stat before {};
    REQUIRE(::stat(world.object().c_str(), &before) == 0);
    world.flip();
    const timespec times[] = {before.st_atim, before.st_mtim};
    REQUIRE(::utimensat(AT_FDCWD, world.object().c_str(), times, 0) == 0);
    CHECK(contains(all_findings(world.look(kHour)), "corrupt: "));
    // What is damaged is not remembered as read.
    CHECK(contains(all_findings(world.look(kHour)), "corrupt: "));
  }
  SUBCASE("what changed under the same state is found by whoever reads all") {
    world.rot();
    CHECK(all_findings(world.look(kHour)) == "no finding");
    CHECK(contains(all_findings(world.look()), "corrupt: "));
    CHECK(contains(all_findings(world.look(kHour)), "corrupt: "));
  }
  SUBCASE("what anybody found damaged is read again") {
    world.rot();
    SUBCASE("verify") {
      const Registry registry = world.remembering();
      const auto version = registry.resolve({"legal/contracts", std::monostate()});
      CHECK(contains(all_findings(registry.verify(version)), "corrupt: "));
    }
    SUBCASE("repair") {
      CHECK(repair(world.root, {}, {.read_memory = world.memory}).left.size() == 1);
    }
    SUBCASE("fsck") { CHECK(fsck(world.root, {.read_memory = world.memory}).objects.size() == 1); }
    CHECK(contains(all_findings(world.look(kHour)), "corrupt: "));
  }
  SUBCASE("of versions that share it its bytes are told once") {
    world.publish("1.1.0");
    CHECK(world.look(kHour).bytes_before == world.all_files);
  }
  SUBCASE("a version that says otherwise of the same bytes is read") {
    world.remember([](auto& object) {
      std::string text = object["contents"];
      text.back() = text.back() == '0' ? '1' : '0';
      object["contents"] = text;
    });
    CHECK(world.look(kHour).bytes_before == world.all_files - world.weights.size);
  }
}

TEST_CASE("reading: of two looks at one time neither undoes what the other wrote") {
  const World world;
  const fs::path location = real_path(world.folder.path());
  const Digest old = sha256("old"), other = sha256("other"), gone = sha256("gone"),
               late = sha256("late"), later = sha256("later");
  const FileStamp state{.inode = 1, .size = 2, .modified = 3, .changed = 4};
  ReadMemory before(world.memory, location);
  for (const Digest& one : {old, gone}) before.keep(one, state, 5);
  before.save(5);

  ReadMemory first(world.memory, location), second(world.memory, location);
  CHECK(first.last_read(old, state) == 5);
  CHECK(second.last_read(old, state) == 5);
  first.forget(old);
  first.keep(other, state, 6);
  first.save(7);
  second.keep(late, state, 6);
  second.keep(later, state, 8);
  second.save(9);
  const ReadMemory after(world.memory, location);
  CHECK(after.last_read(other, state) == 6);
  CHECK_FALSE(after.last_read(old, state));
  CHECK_FALSE(after.last_read(gone, state));  // nobody asked for it
  // Damage was found at 7.
  CHECK_FALSE(after.last_read(late, state));
  CHECK(after.last_read(later, state) == 8);

  ReadMemory running(world.memory, location);
  CHECK(running.last_read(later, state) == 8);
  running.keep(late, state, 10);
  ReadMemory::forget_all(world.memory, location, 11);
  running.save(12);
  const ReadMemory none(world.memory, location);
  for (const Digest& one : {other, late, later}) CHECK_FALSE(none.last_read(one, state));
  CHECK((fs::status(world.memory).permissions() & fs::perms::all) == fs::perms(0700));
}

TEST_CASE("reading: a memory that is no use is none") {
  const World world;
  world.publish("1.0.0");
  world.look();
  const std::string good = slurp(world.file());
  for (const std::string& text : {std::string(), std::string("{}"), good.substr(0, good.size() / 2),
                                  std::string("[1,2]"), good + "x"}) {
    spill(world.file(), text);
    const VerifyReport report = world.look(kHour);
    CHECK(all_findings(report) == "no finding");
    CHECK(report.bytes_before == 0);
    CHECK(world.look(kHour).bytes_before == world.all_files);  // written anew
  }
  fs::remove_all(world.memory);
  write_file(world.memory, "a file lies there");
  const VerifyReport report = world.look(kHour);
  CHECK(all_findings(report) == "no finding");
  REQUIRE_FALSE(report.notes.empty());
  CHECK(contains(report.notes.front(), "could not be remembered: "));
}

namespace {

const VerifyReport::Item& item_of(const VerifyReport& report, const std::string& subject) {
  const auto item = std::ranges::find(report.items, subject, &VerifyReport::Item::subject);
  REQUIRE(item != report.items.end());
  return *item;
}

std::set<Digest> objects_of(const Fixture& fixture) {
  std::vector<std::string> strangers;
  const std::vector<Digest> list = BlobStore(fixture.root).list(strangers);
  return {list.begin(), list.end()};
}

// Manifest, organ.json, config, signature and bundle: what it shares with no other version.
std::vector<Digest> own_objects(const World& world, const std::string& version) {
  const std::set<Digest> before = objects_of(world);
  world.publish(version);
  std::vector<Digest> own;
  std::ranges::set_difference(objects_of(world), before, std::back_inserter(own));
  return own;
}

}  // namespace

TEST_CASE("reading: an object that cannot be read is a finding of its version alone") {
  const World world;
  world.publish("1.0.0");
  const std::vector<Digest> own = own_objects(world, "1.1.0");
  REQUIRE(own.size() == 5);
  for (const Digest& digest : own) {
    CAPTURE(digest.hex());
    world.look();
    {
      const Unreadable object(world.blob(digest), world.folder);
      const VerifyReport report = world.look(kHour);
      CHECK(report.versions == 2);
      CHECK(item_of(report, "legal/contracts:1.0.0").findings.empty());
      const VerifyReport::Item& hurt = item_of(report, "legal/contracts:1.1.0");
      REQUIRE_FALSE(hurt.findings.empty());
      for (const format::Finding& finding : hurt.findings) {
        CHECK(finding.code == ErrorCode::io);
        CHECK(contains(finding.message, digest.to_string() + ": cannot be read: "));
      }
      // Who could not be asked is not somebody who said no.
      CHECK_FALSE(contains(all_findings(report), "untrusted: "));
      CHECK_FALSE(contains(all_findings(report), "corrupt: "));

      const Registry registry = world.remembering();
      const VerifyReport one =
          registry.verify(registry.resolve(reference("legal/contracts:1.1.0")));
      CHECK(one.items.front().findings.size() == hurt.findings.size());
    }
    // Such a medium has to be read again.
    CHECK(world.look(kHour).bytes_before == 0);
  }
}

TEST_CASE("reading: what one version gave unread makes all be read again") {
  const World world;
  world.publish("1.0.0");
  const std::vector<Digest> own = own_objects(world, "1.1.0");
  CHECK(world.look(kHour).bytes_before == 0);
  CHECK(world.look(kHour).bytes_before == world.all_files);
  SUBCASE("by all") {
    const Unreadable object(world.blob(own.front()), world.folder);
    world.look(kHour);
  }
  SUBCASE("by one alone") {
    const Unreadable object(world.blob(own.front()), world.folder);
    const Registry registry = world.remembering();
    registry.verify(registry.resolve(reference("legal/contracts:1.1.0")));
  }
  CHECK(world.look(kHour).bytes_before == 0);
}

TEST_CASE("reading: a signature that cannot be read is neither left out nor made anew") {
  const World world;
  const std::vector<Digest> own = own_objects(world, "1.0.0");
  std::size_t of_signature = 0;
  for (const Digest& digest : own) {
    const Unreadable object(world.blob(digest), world.folder);
    const Registry registry = world.open(Mode::read);
    const auto version = registry.resolve(reference("legal/contracts"));
    std::unique_ptr<format::OrganSource> organ;
    if (error_of([&] { organ = registry.open_organ(version); }) != "no error") continue;
    if (error_of([&] { organ->signature_bundles(); }) == "no error") continue;
    ++of_signature;
    CHECK_THROWS_AS(organ->signature_bundles(), UnreadableBlob);
    const TrustVerdict verdict = registry.evaluate(version, *organ);
    REQUIRE(verdict.refusals.size() == 1);
    CHECK(verdict.refusals.front().code == ErrorCode::io);
    CHECK_THROWS_AS(world.publish("1.0.0"), UnreadableBlob);
  }
  CHECK(of_signature == 2);
}

TEST_CASE("reading: what could not be read does not count as read") {
  const World world;
  world.publish("1.0.0");
  const std::uint64_t all = world.look().bytes;
  SUBCASE("it cannot be opened") {
    const Unreadable object(world.object(), world.folder);
    CHECK(world.look().bytes == all - world.weights.size);
  }
  SUBCASE("it is of another size") {
    spill(world.object(), "cut off");
    CHECK(world.look().bytes == all - world.weights.size);
  }
  SUBCASE("what is damaged was read") {
    world.flip();
    CHECK(world.look().bytes == all);
  }
}
