// SPDX-License-Identifier: Apache-2.0
// Weights taken away for good: what goes, what stays, and who says so.
#include "registry/care/takedown.h"

#include <algorithm>
#include <functional>

#include "registry/care/fsck.h"
#include "registry/care/gc.h"
#include "registry/care/repair.h"
#include "registry/care/stats.h"
#include "tests/registry/support.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;
using Mode = Registry::Mode;

namespace {

constexpr char kName[] = "legal/contracts";

// A registry with legal/contracts:1.0.0 of one layer and legal/long:1.0.0 of two, whose first file
// is the same.
struct Shop : Fixture {
  fs::path long_folder = write_tiny_organ(folder.path() / "long", 2);
  format::OrganFolder long_organ = format::OrganFolder::open(long_folder);

  Shop() {
    publish("1.0.0");
    publish_long();
  }
  PublishResult publish_long(const std::string& text = "1.0.0",
                             const std::string& name = "legal/long") const {
    return open().publish(long_organ, name, version(text), {.key = &key});
  }
  Digest digest_of(const std::string& file) const {
    return long_organ.manifest().find_file(file)->digest;
  }
  bool has(const std::string& file) const { return fs::exists(blob(digest_of(file))); }
  TakedownReport take_down(const std::string& name,
                           const std::optional<std::string>& reason = "a court said so") const {
    return registry::take_down(root, name, version("1.0.0"), reason, false);
  }
};

bool is_well(const FsckReport& report) {
  return report.objects.empty() && report.records.empty() && report.views.empty();
}

bool says(const FsckReport& report, const std::string& part) {
  return std::ranges::any_of(report.notes,
                             [&](const std::string& note) { return contains(note, part); });
}

std::vector<std::string> names_of(const std::vector<TakedownReport::Object>& objects) {
  std::vector<std::string> names;
  names.reserve(objects.size());
  for (const auto& object : objects) names.push_back(object.file);
  return names;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("takedown: weights go, those of other versions stay and are named") {
  const Shop shop;
  const std::string dump = shop.open(Mode::read).dump();
  const TakedownReport plan =
      take_down(shop.root, "legal/long", version("1.0.0"), std::nullopt, true);
  CHECK(names_of(plan.removed) == Names{"layer.01.safetensors"});
  CHECK(names_of(plan.kept) == Names{"layer.00.safetensors"});
  CHECK_FALSE(plan.takedown);
  CHECK(shop.has("layer.01.safetensors"));
  CHECK(shop.open(Mode::read).dump() == dump);

  const TakedownReport done = shop.take_down("legal/long");
  CHECK(names_of(done.removed) == names_of(plan.removed));
  CHECK(done.bytes == plan.bytes);
  REQUIRE(done.kept.size() == 1);
  CHECK(done.kept[0].versions == Names{"legal/contracts:1.0.0"});
  REQUIRE(done.takedown);
  CHECK(done.takedown->reason == "a court said so");
  CHECK_FALSE(shop.has("layer.01.safetensors"));
  CHECK(shop.has("layer.00.safetensors"));
  CHECK(shop.has("README.md"));

  const FsckReport report = fsck(shop.root);
  CHECK(is_well(report));
  CHECK(report.removed == 1);
  CHECK(report.orphans == 0);
  CHECK(says(report, "legal/long:1.0.0: was taken down on "));
  CHECK(says(report, " because a court said so"));
  CHECK_FALSE(says(report, "although it was taken down"));
  const StoreStats stats = store_stats(shop.root);
  CHECK(stats.removed == 1);
  CHECK(stats.damaged == 0);
  CHECK(stats.orphans == 0);
  // The other version is whole; when it is taken down too, what they shared goes.
  CHECK(shop.open(Mode::read)
            .verify(shop.open(Mode::read).resolve(reference("legal/contracts")))
            .items[0]
            .findings.empty());
  CHECK(names_of(shop.take_down(kName).removed) == Names{"layer.00.safetensors"});
  CHECK_FALSE(shop.has("layer.00.safetensors"));
  CHECK(is_well(fsck(shop.root)));
}

TEST_CASE("takedown: who reads the version is told when and why, and gets no weights") {
  const Shop shop;
  shop.publish_long("1.1.0");
  shop.open().set_alias("legal/long", "stable", version("1.0.0"));
  shop.take_down("legal/long");
  const Registry registry = shop.open(Mode::read);
  CHECK(registry.resolve(reference("legal/long")).version == "1.1.0");
  CHECK(
      error_of([&] { registry.resolve(reference("legal/long@<1.1")); }).starts_with("not_found: "));
  const ResolvedVersion found = registry.resolve(reference("legal/long@stable"));
  REQUIRE(found.taken_down);
  CHECK(found.taken_down->reason == "a court said so");
  CHECK(contains(error_of([&] { require_not_revoked(found); }),
                 "untrusted: legal/long:1.0.0: was taken down on "));
  const auto organ = registry.open_organ(found);  // all else can be read
  CHECK(organ->manifest().find_file("layer.01.safetensors") != nullptr);
  CHECK(organ->signature_bundles().size() == 1);
  // Also of a file that another version keeps here.
  for (const char* file : {"layer.00.safetensors", "layer.01.safetensors"}) {
    CHECK(contains(error_of([&] { organ->open(*organ->manifest().find_file(file)); }),
                   "untrusted: legal/long:1.0.0: was taken down on "));
  }
  CHECK_NOTHROW(organ->open(*organ->manifest().find_file("README.md")));
  TrustOverride lenient;
  lenient.allow_unsigned = true;
  const TrustVerdict verdict = registry.evaluate(found, *organ, lenient);
  REQUIRE(verdict.refusals.size() == 1);
  CHECK(contains(verdict.refusals[0].message, " because a court said so"));
  const VerifyReport report = registry.verify_all();
  for (const auto& item : report.items) CHECK(item.findings.empty());
  CHECK(contains(all_findings(report), "untrusted: legal/long:1.0.0: was taken down on "));
  CHECK(registry.list({.include_withdrawn = false}).size() == 2);
  CHECK(registry.list().size() == 3);
}

TEST_CASE("takedown: the history stays provable, and a rebuild gives the same rows") {
  const Shop shop;
  const Digest identity = shop.open(Mode::read).resolve(reference("legal/long")).digest;
  shop.take_down("legal/long");
  const std::string dump = shop.open(Mode::read).dump();
  Registry::rebuild(shop.root);
  const Registry registry = shop.open(Mode::read);
  CHECK(registry.dump() == dump);
  const ResolvedVersion found = registry.resolve(reference("legal/long:1.0.0"));
  CHECK(found.digest == identity);
  CHECK_FALSE(found.damage);
  const auto events = registry.history_of(found);
  REQUIRE(events.size() == 2);
  CHECK(events[0].signers.at(0).verified);
  CHECK(events[1].record.entry.kind == LogKind::takedown);
  // Once and for all: the first reason and time stand.
  CHECK(shop.take_down("legal/long", "another reason").takedown->reason == "a court said so");
  CHECK(registry.history_of(found).size() == 2);
  CHECK(contains(error_of([&] {
                   shop.open().withdraw(Registry::Withdrawal::takedown, "legal/long",
                                        version("1.0.0"), std::nullopt);
                 }),
                 "is not taken back"));
}

TEST_CASE("takedown: neither the version nor its weights come back") {
  const Shop shop;
  shop.take_down("legal/long");
  const auto refusal = [&](const std::function<void()>& action) { return error_of(action); };
  CHECK(contains(refusal([&] { shop.publish_long(); }), "untrusted: legal/long:1.0.0: was taken"));
  const std::string other = refusal([&] { shop.publish_long("2.0.0", "legal/other"); });
  CHECK(contains(other, "untrusted: legal/other:2.0.0: 'layer.01.safetensors' is of legal/long"));
  CHECK_FALSE(shop.has("layer.01.safetensors"));
  CHECK_NOTHROW(shop.publish("1.1.0"));  // what it shared with another one is that one's
  const RepairReport repaired =
      repair(shop.root, {.sources = {shop.long_folder.string()}, .dry_run = false, .remote = {}});
  CHECK(repaired.mended.empty());
  CHECK(repaired.left.empty());
  CHECK_FALSE(shop.has("layer.01.safetensors"));
  CHECK(is_well(fsck(shop.root)));
}

TEST_CASE("takedown: a publisher that opened the registry before it all does not bring them back") {
  const Shop shop;
  Registry early = shop.open();
  const fs::path three = write_tiny_organ(shop.folder.path() / "three", 3);
  const auto organ = format::OrganFolder::open(three);
  shop.open().publish(organ, "legal/three", version("1.0.0"), {.key = &shop.key});
  registry::take_down(shop.root, "legal/three", version("1.0.0"), "a court", false);
  const Digest weights = organ.manifest().find_file("layer.02.safetensors")->digest;
  CHECK_FALSE(fs::exists(shop.blob(weights)));
  CHECK(contains(
      error_of([&] { early.publish(organ, "legal/other", version("1.0.0"), {.key = &shop.key}); }),
      "untrusted: legal/other:1.0.0: 'layer.02.safetensors' is of legal/three:1.0.0"));
  CHECK_FALSE(fs::exists(shop.blob(weights)));
}

TEST_CASE("takedown: copies in the quarantine and in interrupted pulls go too") {
  const Shop shop;
  const Digest weights = shop.digest_of("layer.01.safetensors");
  const Digest shared = shop.digest_of("layer.00.safetensors");
  const fs::path organ = shop.root / "organ";
  const std::vector<fs::path> going = {
      organ / "quarantine/removed" / weights.hex(),
      organ / "quarantine/damaged" / (weights.hex() + ".0123456789abcdef"),
      organ / "partial" / sha256("a version").hex() / weights.hex()};
  const fs::path staying = organ / "quarantine/removed" / shared.hex();
  for (const fs::path& path : going) fs::create_directories(path.parent_path());
  for (const fs::path& path : going) fs::copy_file(shop.blob(weights), path);
  fs::copy_file(shop.blob(shared), staying);
  fs::remove(shop.blob(weights));  // it was missing: only copies are here
  const TakedownReport report = shop.take_down("legal/long");
  CHECK(report.removed.empty());
  CHECK(report.copies == 3);
  CHECK(report.bytes > 0);
  for (const fs::path& path : going) CHECK_FALSE(fs::exists(path));
  CHECK(fs::exists(staying));
  CHECK(is_well(fsck(shop.root)));
}

TEST_CASE("takedown: nothing is done while it is not known what others are made of") {
  const Shop shop;
  const auto contracts = shop.open(Mode::read).resolve(reference("legal/contracts"));
  const auto own = shop.open(Mode::read).resolve(reference("legal/long"));
  const auto entries = shop.open(Mode::read).history().size();
  SUBCASE("another manifest is damaged") { spill(shop.blob(contracts.digest), "{}"); }
  SUBCASE("another manifest is gone") { fs::remove(shop.blob(contracts.digest)); }
  SUBCASE("its own manifest is gone") { fs::remove(shop.blob(own.digest)); }
  CHECK(error_of([&] { shop.take_down("legal/long"); }).starts_with("corrupt: "));
  CHECK(shop.open(Mode::read).history().size() == entries);
  CHECK(shop.has("layer.01.safetensors"));
}

TEST_CASE("takedown: what cannot be taken down") {
  const Shop shop;
  CHECK(contains(error_of([&] { shop.take_down("legal/none"); }), "not_found: "));
  CHECK(contains(error_of([&] { shop.take_down("legal/long", std::nullopt); }), "needs a reason"));
  CHECK(contains(error_of([&] { shop.take_down("legal/long", ""); }), "a reason of 0 bytes"));
  CHECK(shop.has("layer.01.safetensors"));
}

TEST_CASE("takedown: one that was ended is told, refuses all the same, and is completed") {
  const Shop shop;
  shop.open().withdraw(Registry::Withdrawal::takedown, "legal/long", version("1.0.0"), "a court");
  CHECK(shop.has("layer.01.safetensors"));
  FsckReport report = fsck(shop.root);
  CHECK(is_well(report));
  CHECK(report.orphans == 1);
  CHECK(says(report, "legal/long:1.0.0: 1 object of it still here although it was taken down"));
  const Registry registry = shop.open(Mode::read);
  const auto found = registry.resolve(reference("legal/long:1.0.0"));
  CHECK_FALSE(registry.evaluate(found, *registry.open_organ(found)).trusted());
  CHECK(contains(error_of([&] { shop.publish_long("2.0.0", "legal/other"); }), "untrusted: "));
  SUBCASE("run again") { CHECK(shop.take_down("legal/long", std::nullopt).removed.size() == 1); }
  SUBCASE("after gc took it for nobody's") {
    const GcPlan plan = plan_gc(shop.root, GcAction::collect, 0);
    REQUIRE(plan.items.size() == 1);
    apply_gc(shop.root, plan.token);
    CHECK(shop.take_down("legal/long", std::nullopt).copies == 1);
    CHECK(list_folder(shop.root / "organ/quarantine/removed").empty());
  }
  CHECK_FALSE(shop.has("layer.01.safetensors"));
  report = fsck(shop.root);
  CHECK(is_well(report));
  CHECK(report.orphans == 0);
}

TEST_CASE("takedown: gc keeps all else of the version") {
  const Shop shop;
  shop.take_down("legal/long");
  CHECK(plan_gc(shop.root, GcAction::collect, 0).items.empty());
  // While organ.json cannot be read it is not known which of its files is the card.
  const auto found = shop.open(Mode::read).resolve(reference("legal/long:1.0.0"));
  const Digest organ_json = sha256(shop.open(Mode::read).open_organ(found)->manifest_text());
  fs::rename(shop.blob(organ_json), shop.folder.path() / "away");
  CHECK(error_of([&] { plan_gc(shop.root, GcAction::collect, 0); }).starts_with("corrupt: "));
  CHECK(fsck(shop.root).affected == Names{"legal/long:1.0.0"});
  fs::rename(shop.folder.path() / "away", shop.blob(organ_json));
  CHECK(is_well(fsck(shop.root)));
}
