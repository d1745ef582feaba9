// SPDX-License-Identifier: Apache-2.0
#include "registry/care/fsck.h"

#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "registry/care/stats.h"
#include "tests/registry/support.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;

namespace {

FsckReport look(const Fixture& fixture) { return fsck(fixture.root); }

bool is_well(const FsckReport& report) {
  return report.objects.empty() && report.records.empty() && report.views.empty();
}

format::Manifest published(const Fixture& fixture, const std::string& version = "1.0.0") {
  const Registry registry = fixture.open(Registry::Mode::read);
  return registry
      .open_organ(registry.resolve({"legal/contracts", format::Version::parse(version)}))
      ->manifest();
}

const format::FileEntry& layer_of(const format::Manifest& organ) {
  return *std::ranges::find_if(organ.files, [](const format::FileEntry& file) {
    return file.role == format::FileRole::layer;
  });
}

std::string flipped(std::string text, std::size_t at) {
  text[at] = static_cast<char>(text[at] ^ 1);
  return text;
}

}  // namespace

TEST_CASE("fsck: a registry that is well, however many versions share its objects") {
  const Fixture fixture;
  CHECK(is_well(look(fixture)));
  fixture.publish("1.0.0");
  const FsckReport one = look(fixture);
  fixture.publish("1.1.0");
  const FsckReport two = look(fixture);
  CHECK(is_well(one));
  CHECK(is_well(two));
  CHECK(two.versions == 2);
  CHECK(two.entries == one.entries + 1);
  const format::Manifest organ = published(fixture);
  std::uint64_t files = 0;
  for (const auto& file : organ.files) files += file.size;
  CHECK(one.bytes > files);
  // Only what carries the version's own name is new: manifest, organ.json, config, signature.
  CHECK(two.bytes + files <= 2 * one.bytes);
  CHECK(two.checked < 2 * one.checked);
  CHECK(two.orphans == 0);
}

TEST_CASE("fsck: every damaged object is named with file, tensor, piece and versions") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  fixture.publish("1.1.0");
  const format::Manifest organ = published(fixture);
  const format::FileEntry& layer = layer_of(organ);
  const std::string good = slurp(fixture.blob(layer.digest));
  for (const format::TensorInfo& tensor : layer.tensors) {
    if (tensor.size == 0) continue;
    spill(fixture.blob(layer.digest), flipped(good, layer.data_start + tensor.offset));
    const FsckReport report = look(fixture);
    REQUIRE(report.objects.size() == 1);
    const DamagedObject& object = report.objects[0];
    CHECK(object.blob.digest == layer.digest);
    CHECK(object.kind == "file");
    CHECK(object.file == layer.path);
    CHECK(object.tensors == std::vector<std::string>{tensor.name});
    REQUIRE(object.pieces.size() == 1);
    CHECK(object.pieces[0].begin == 0);
    CHECK(object.pieces[0].end == layer.size);
    CHECK(object.versions ==
          std::vector<std::string>{"legal/contracts:1.0.0", "legal/contracts:1.1.0"});
    CHECK(report.affected == object.versions);
    CHECK(report.records.empty());
    CHECK(report.views.empty());
  }
}

TEST_CASE("fsck: damage of a file's header is of no tensor") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const format::FileEntry layer = layer_of(published(fixture));
  spill(fixture.blob(layer.digest), flipped(slurp(fixture.blob(layer.digest)), 9));
  const FsckReport report = look(fixture);
  REQUIRE(report.objects.size() == 1);
  CHECK(report.objects[0].tensors.empty());
  CHECK(contains(report.objects[0].message, "outside of its tensors"));
}

TEST_CASE("fsck: each object of a registry in turn, changed, cut, extended or gone") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  for (const auto& entry : fs::directory_iterator(fixture.root / "blobs/sha256")) {
    const std::string good = slurp(entry.path());
    const std::string digest = "sha256:" + entry.path().filename().string();
    for (const std::string& bad : {flipped(good, good.size() / 2), good.substr(0, good.size() - 1),
                                   good + "x", std::string()}) {
      spill(entry.path(), bad);
      const FsckReport report = look(fixture);
      REQUIRE(!report.objects.empty());
      CHECK(std::ranges::any_of(report.objects, [&](const DamagedObject& object) {
        return object.blob.digest.to_string() == digest && !object.missing;
      }));
      CHECK(report.affected == std::vector<std::string>{"legal/contracts:1.0.0"});
      CHECK(report.records.empty());
    }
    fs::rename(entry.path(), fixture.folder.path() / "away");
    const FsckReport report = look(fixture);
    REQUIRE(!report.objects.empty());
    CHECK(std::ranges::any_of(report.objects, [&](const DamagedObject& object) {
      return object.blob.digest.to_string() == digest && object.missing;
    }));
    fs::rename(fixture.folder.path() / "away", entry.path());
    spill(entry.path(), good);
  }
  CHECK(is_well(look(fixture)));
}

TEST_CASE("fsck: what nothing refers to is counted, and is no damage") {
  const Fixture fixture;
  fixture.publish();
  std::ofstream(fixture.blob(sha256("nobody"))) << "nobody";
  const FsckReport report = look(fixture);
  CHECK(is_well(report));
  CHECK(report.orphans == 1);
  CHECK(report.orphan_bytes == 6);
  const StoreStats stats = store_stats(fixture.root);
  CHECK(stats.orphans == 1);
  CHECK(stats.orphan_bytes == 6);
  CHECK(stats.versions == 1);
  CHECK(stats.damaged == 0);
}

TEST_CASE("fsck: views are told apart from damage") {
  const Fixture fixture;
  fixture.publish();
  SUBCASE("catalog") { spill(fixture.root / "organ/catalog.db", "no database at all"); }
  SUBCASE("index") { spill(fixture.root / "index.json", "{}"); }
  SUBCASE("policy") {
    std::string policy = slurp(fixture.root / "organ/policy.json");
    policy.replace(policy.find("enforce"), 7, "warn");
    spill(fixture.root / "organ/policy.json", policy);
  }
  const FsckReport report = look(fixture);
  CHECK(report.objects.empty());
  CHECK(report.records.empty());
  CHECK(report.views.size() == 1);
}

TEST_CASE("fsck: views that are not there are no damage, nor is what a cache holds") {
  const Fixture fixture;
  fixture.publish();
  const std::size_t usual = look(fixture).notes.size();
  spill(fixture.root / "organ/log.tree", std::string(64, 'x'));
  CHECK(is_well(look(fixture)));
  CHECK(look(fixture).notes.size() == usual + 1);
  for (const char* view :
       {"organ/catalog.db", "organ/log.tree", "organ/policy.json", "index.json"}) {
    fs::remove(fixture.root / view);
  }
  CHECK(is_well(look(fixture)));
}

TEST_CASE("fsck: damage of the log is damage of a record, and what stands before it is checked") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  fixture.publish("1.1.0");
  const fs::path log = fixture.root / "organ/log";
  const std::string good = slurp(log);
  const format::FileEntry layer = layer_of(published(fixture));
  spill(fixture.blob(layer.digest), "damage");
  spill(log, flipped(good, good.size() - 10));
  const FsckReport report = look(fixture);
  REQUIRE(report.records.size() == 1);
  CHECK(contains(report.records[0].message, "damaged"));
  CHECK(report.versions == 1);
  CHECK(report.affected == std::vector<std::string>{"legal/contracts:1.0.0"});
}

TEST_CASE("stats: what versions share is counted once") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const StoreStats one = store_stats(fixture.root);
  fixture.publish("1.1.0");
  const StoreStats two = store_stats(fixture.root);
  std::uint64_t files = 0;
  std::set<Digest> seen;
  for (const auto& file : published(fixture).files) {
    if (seen.insert(file.digest).second) files += file.size;
  }
  CHECK(one.logical == one.stored);
  CHECK(one.shared == 0);
  CHECK(two.logical == two.stored + two.shared);
  CHECK(two.shared >= files);
  std::uint64_t on_disk = 0;
  for (const auto& entry : fs::directory_iterator(fixture.root / "blobs/sha256")) {
    on_disk += fs::file_size(entry.path());
  }
  CHECK(two.stored == on_disk);
  CHECK(two.versions == 2);
  CHECK(two.names == 1);
}

TEST_CASE("fsck: a record that is missing is damage, and odd views are views") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const fs::path organ = fixture.root / "organ", away = fixture.folder.path() / "away";
  for (const char* name : {"log", "checkpoint", "trust/log.vkey"}) {
    CAPTURE(name);
    fs::rename(organ / name, away);
    const FsckReport report = look(fixture);
    REQUIRE(!report.records.empty());
    for (const auto& finding : report.records) {
      CHECK(finding.code == ErrorCode::corrupt);
      CHECK(finding.subject == std::string("organ/") + name);
    }
    fs::rename(away, organ / name);
  }
  for (const char* name : {"log.tree", "catalog.db", "policy.json"}) {
    CAPTURE(name);
    fs::rename(organ / name, away);
    for (int kind = 0; kind < 3; ++kind) {
      if (kind == 0) fs::create_symlink(away, organ / name);
      if (kind == 1) CHECK(::mkfifo((organ / name).c_str(), 0600) == 0);
      if (kind == 2) fs::create_directory(organ / name);
      const FsckReport report = look(fixture);
      CHECK(report.records.empty());
      CHECK(report.objects.empty());
      CHECK(report.views.size() == 1);
      fs::remove(organ / name);
    }
    fs::rename(away, organ / name);
  }
  CHECK(is_well(look(fixture)));
}

TEST_CASE("fsck: it makes no lock") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const fs::path lock = fixture.root / "organ/write.lock";
  fs::remove(lock);
  CHECK(is_well(look(fixture)));
  CHECK(!fs::exists(lock));
}
