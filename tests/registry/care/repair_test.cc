// SPDX-License-Identifier: Apache-2.0
#include "registry/care/repair.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "format/base/fail.h"
#include "registry/care/fsck.h"
#include "registry/care/gc.h"
#include "tests/registry/support.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;

namespace {

constexpr auto kAll = fs::copy_options::recursive;

bool is_well(const Fixture& fixture) {
  const FsckReport report = fsck(fixture.root);
  return report.objects.empty() && report.records.empty() && report.views.empty();
}

RepairReport mend(const Fixture& fixture, std::vector<std::string> sources, bool dry_run = false) {
  return repair(fixture.root, {.sources = std::move(sources), .dry_run = dry_run, .remote = {}});
}

std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) all[fs::relative(entry.path(), folder)] = slurp(entry.path());
  }
  return all;
}

std::vector<fs::path> objects_of(const Fixture& fixture) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(fixture.root / "blobs/sha256")) {
    paths.push_back(entry.path());
  }
  std::ranges::sort(paths);
  return paths;
}

// One of the ways in which an object goes bad.
void damage(const fs::path& path, std::size_t how) {
  std::string text = slurp(path);
  if (how == 0) text[text.size() / 2] = static_cast<char>(text[text.size() / 2] ^ 4);
  if (how == 1) text.resize(text.size() / 2);
  if (how == 2) text += "more";
  if (how == 3) text.clear();
  if (how < 4) return spill(path, text);
  fs::remove(path);
  if (how == 5) fs::create_symlink("/etc/passwd", path);
  if (how == 6) fs::create_directory(path);
}

format::FileEntry large_file(const Fixture& fixture) {
  const Registry registry = fixture.open(Registry::Mode::read);
  const auto organ =
      registry.open_organ(registry.resolve({"legal/contracts", format::Version::parse("1.0.0")}));
  return *std::ranges::max_element(organ->manifest().files, {}, &format::FileEntry::size);
}

}  // namespace

TEST_CASE("repair: every object, damaged in every way, from another registry") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  fixture.publish("1.1.0");
  const fs::path mirror = fixture.folder.path() / "mirror";
  fs::copy(fixture.root, mirror, fs::copy_options::recursive);
  for (const fs::path& object : objects_of(fixture)) {
    const std::string good = slurp(object);
    for (std::size_t how = 0; how < 7; ++how) {
      damage(object, how);
      const RepairReport report = mend(fixture, {mirror});
      CHECK(report.mended.size() == 1);
      CHECK(report.left.empty());
      CHECK(!report.affected_before.empty());
      CHECK(report.affected_after.empty());
      CHECK(fs::is_regular_file(fs::symlink_status(object)));
      CHECK(slurp(object) == good);
      CHECK((fs::status(object).permissions() & fs::perms::owner_write) == fs::perms::none);
      CHECK(is_well(fixture));
    }
  }
}

TEST_CASE("repair: everything at once, from the organ's folder under another name") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const auto before = contents(fixture.root / "blobs");
  for (const fs::path& object : objects_of(fixture)) damage(object, 4);
  const RepairReport report = mend(fixture, {fixture.organ_folder});
  // The signature was made while it was published: no folder has it.
  CHECK(report.left.size() <= 2);
  for (const DamagedObject& object : report.left) CHECK(object.kind == "signature");
  for (const auto& [name, text] : contents(fixture.root / "blobs")) CHECK(before.at(name) == text);
  CHECK(fsck(fixture.root).objects.size() == report.left.size());
}

TEST_CASE("repair: only damaged pieces are taken, from whoever has them right") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const format::FileEntry file = large_file(fixture);
  const fs::path object = fixture.blob(file.digest);
  const std::string good = slurp(object);
  const fs::path mirror = fixture.folder.path() / "mirror";
  fs::copy(fixture.root, mirror, fs::copy_options::recursive);
  damage(object, 0);
  const RepairReport report = mend(fixture, {mirror});
  REQUIRE(report.mended.size() == 1);
  std::uint64_t from_mirror = 0, itself = 0;
  for (const auto& [source, bytes] : report.mended[0].taken) {
    (source == "itself" ? itself : from_mirror) += bytes;
  }
  std::uint64_t damaged = 0;
  for (const auto& piece : report.mended[0].object.pieces) damaged += piece.end - piece.begin;
  CHECK(from_mirror == damaged);
  CHECK(itself == file.size - damaged);
  CHECK(slurp(object) == good);
}

TEST_CASE("repair: bytes that nobody has stay as they are, and it says what they affect") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const format::FileEntry file = large_file(fixture);
  const fs::path object = fixture.blob(file.digest);
  const std::string good = slurp(object);
  const fs::path mirror = fixture.folder.path() / "mirror";
  fs::copy(fixture.root, mirror, fs::copy_options::recursive);
  damage(mirror / "blobs/sha256" / object.filename(), 0);
  damage(object, 0);
  const std::string bad = slurp(object);
  const RepairReport report = mend(fixture, {mirror});
  CHECK(report.mended.empty());
  REQUIRE(report.left.size() == 1);
  CHECK(report.left[0].file == file.path);
  CHECK(!report.left[0].pieces.empty());
  CHECK(report.affected_before == std::vector<std::string>{"legal/contracts:1.0.0"});
  CHECK(report.affected_after == report.affected_before);
  CHECK(slurp(object) == bad);
  CHECK(!fs::exists(fixture.root / "organ/quarantine/damaged"));
}

TEST_CASE("repair: a dry run says the same and changes nothing") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const fs::path mirror = fixture.folder.path() / "mirror";
  fs::copy(fixture.root, mirror, fs::copy_options::recursive);
  damage(fixture.blob(large_file(fixture).digest), 1);
  const auto before = contents(fixture.root);
  const RepairReport dry = mend(fixture, {mirror}, true);
  CHECK(contents(fixture.root) == before);
  const RepairReport real = mend(fixture, {mirror});
  CHECK(dry.mended.size() == real.mended.size());
  CHECK(dry.affected_after == real.affected_after);
  CHECK(is_well(fixture));
}

TEST_CASE("repair: the damaged object is kept, and the quarantine gives back what gc took") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const format::FileEntry file = large_file(fixture);
  const fs::path object = fixture.blob(file.digest);
  const fs::path removed = fixture.root / "organ/quarantine/removed";
  fs::create_directories(removed);
  fs::copy_file(object, removed / file.digest.hex());
  damage(object, 0);
  const std::string bad = slurp(object);
  const RepairReport report = mend(fixture, {});
  CHECK(report.mended.size() == 1);
  CHECK(is_well(fixture));
  bool kept = false;
  for (const auto& entry : fs::directory_iterator(fixture.root / "organ/quarantine/damaged")) {
    kept = kept || slurp(entry.path()) == bad;
  }
  CHECK(kept);
}

TEST_CASE("repair: a hundred rounds of random damage, a mirror that is damaged elsewhere") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  fixture.publish("1.1.0");
  const fs::path mirror = fixture.folder.path() / "mirror";
  fs::copy(fixture.root, mirror, fs::copy_options::recursive);
  const auto good = contents(fixture.root / "blobs");
  const std::vector<fs::path> objects = objects_of(fixture);
  std::mt19937_64 random(1);
  int left_over = 0;
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < 4; ++i) {
      const fs::path& object = objects[random() % objects.size()];
      if (!fs::exists(object)) continue;
      damage(object, 4 * (random() % 2));
      const fs::path& other = objects[random() % objects.size()];
      const fs::path copy = mirror / "blobs/sha256" / other.filename();
      if (fs::exists(copy)) damage(copy, 4);
    }
    const RepairReport report = mend(fixture, {mirror});
    const auto now = contents(fixture.root / "blobs");
    std::set<std::string> left;
    for (const DamagedObject& object : report.left) left.insert(object.blob.digest.hex());
    for (const auto& [name, text] : good) {
      const auto found = now.find(name);
      const bool whole = found != now.end() && found->second == text;
      const std::string hex = fs::path(name).filename();
      // What is not whole is listed, or lies below what is listed.
      if (!whole) CHECK(!left.empty());
      if (left.contains(hex)) CHECK(!whole);
    }
    left_over += report.left.empty() ? 0 : 1;
    for (const auto& [name, text] : good) {
      for (const fs::path& root : {fixture.root / "blobs", mirror / "blobs"}) {
        if (!fs::exists(root / name)) std::ofstream(root / name) << text;
        spill(root / name, text);
      }
    }
  }
  CHECK(left_over > 0);
  CHECK(left_over < 100);
}

TEST_CASE("repair: sources that are none are refused before anything is looked at") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  CHECK_THROWS_AS(mend(fixture, {fixture.folder.path() / "nowhere"}), Error);
  CHECK_THROWS_AS(mend(fixture, {fixture.folder.path()}), Error);
  CHECK_THROWS_AS(mend(fixture, {"oci://"}), Error);
}

TEST_CASE("repair: a log that is changed, cut or gone is made whole from an older or newer copy") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const fs::path older = fixture.folder.path() / "older", newer = fixture.folder.path() / "newer";
  fs::copy(fixture.root, older, fs::copy_options::recursive);
  fixture.publish("1.1.0");
  const fs::path now = fixture.folder.path() / "now";
  fs::copy(fixture.root, now, fs::copy_options::recursive);
  fixture.publish("1.2.0");
  fs::copy(fixture.root, newer, fs::copy_options::recursive);
  fs::remove_all(fixture.root);
  fs::copy(now, fixture.root, fs::copy_options::recursive);
  const fs::path log = fixture.root / "organ/log";
  const std::string good = slurp(log);
  const std::size_t first = good.find('\n') + 1, known = slurp(older / "organ/log").size();
  const auto mendable = [&](const fs::path& source, const std::string& bad) {
    fs::remove(log);
    if (!bad.empty()) std::ofstream(log, std::ios::binary) << bad;
    try {
      const RepairReport dry = mend(fixture, {source}, true);
      CHECK(dry.log_from == source.string());
      CHECK((bad.empty() ? !fs::exists(log) : slurp(log) == bad));
      const RepairReport report = mend(fixture, {source});
      CHECK(report.log_from == source.string());
      CHECK(slurp(log) == good);
      CHECK(is_well(fixture));
      return true;
    } catch (const Error& error) {
      CHECK((bad.empty() ? !fs::exists(log) : slurp(log) == bad));
      return false;
    }
  };
  for (const std::size_t at : {std::size_t{3}, first + 80, known - 5}) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    CHECK(mendable(older, bad));
    CHECK(mendable(newer, bad));
    CHECK(!mendable(fixture.organ_folder, bad));
  }
  std::string behind = good;
  behind[known + 80] = static_cast<char>(behind[known + 80] ^ 1);
  CHECK(!mendable(older, behind));  // nobody there has that line
  CHECK(mendable(newer, behind));
  CHECK(mendable(newer, good.substr(0, first)));
  CHECK(mendable(newer, {}));
  // Another registry of the same contents has another key.
  const Fixture stranger;
  stranger.publish("1.0.0");
  stranger.publish("1.1.0");
  CHECK(!mendable(stranger.root, behind));
}

TEST_CASE("repair: lines that were put into the log, or taken out of it") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const fs::path mirror = fixture.folder.path() / "mirror", log = fixture.root / "organ/log";
  SUBCASE("the copy is as old as it can be") { fs::copy(fixture.root, mirror, kAll); }
  fixture.publish("1.1.0");
  if (!fs::exists(mirror)) fs::copy(fixture.root, mirror, kAll);
  const std::string copied = slurp(mirror / "organ/log"), good = slurp(log);
  const std::string first = good.substr(0, good.find('\n') + 1);
  fs::permissions(log, fs::perms(0664));
  int version = 2;
  const std::string thrice = fmt::format("{0}{0}{0}", first);
  for (const std::string& inserted : {first, thrice, std::string("no line\n")}) {
    for (std::size_t at = 0; at < copied.size(); at = copied.find('\n', at) + 1) {
      const std::string now = slurp(log);
      spill(log, std::string(now).insert(at, inserted));
      const RepairReport report = mend(fixture, {mirror});
      CHECK(report.log_from == mirror);
      CHECK(slurp(log) == now);
      CHECK(fs::status(log).permissions() == fs::perms(0664));
      CHECK(is_well(fixture));
    }
  }
  fixture.publish(fmt::format("2.{}.0", ++version));
  CHECK(is_well(fixture));
  spill(log, slurp(log).substr(first.size()));
  mend(fixture, {mirror});
  CHECK(is_well(fixture));
}

TEST_CASE("repair: a catalog of damaged objects is made anew by the run that finds them whole") {
  const Fixture fixture;
  const PublishResult result = fixture.publish("1.0.0");
  const std::string good = slurp(fixture.blob(result.digest));
  spill(fixture.blob(result.digest), "{}");
  Registry::rebuild(fixture.root);
  CHECK(fsck(fixture.root).objects.size() == 1);
  // A run that was ended between its last object and the catalog.
  spill(fixture.blob(result.digest), good);
  const FsckReport report = fsck(fixture.root);
  REQUIRE(report.views.size() == 1);
  CHECK(contains(report.views[0].message, "rebuild"));
  CHECK(mend(fixture, {}).mended.empty());
  CHECK(is_well(fixture));
}

TEST_CASE("repair: no folder of objects is an obstacle, nor is a file of 8 TiB") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const fs::path mirror = fixture.folder.path() / "mirror";
  fs::copy(fixture.root, mirror, kAll);
  const fs::path object = fixture.blob(large_file(fixture).digest);
  SUBCASE("blobs are gone") { fs::remove_all(fixture.root / "blobs"); }
  SUBCASE("a long one") {
    const std::uintmax_t size = fs::file_size(object);
    fs::permissions(object, fs::perms(0644));
    fs::resize_file(object, std::uintmax_t{8} << 40);
    const FsckReport report = fsck(fixture.root);
    REQUIRE(report.objects.size() == 1);
    CHECK(contains(report.objects[0].message, fmt::format("expected {}", size)));
  }
  CHECK(mend(fixture, {mirror}).left.empty());
  CHECK(is_well(fixture));
}
