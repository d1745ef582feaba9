// SPDX-License-Identifier: Apache-2.0
#include "registry/registry.h"

#include <cmath>

#include "registry/catalog/internal/sqlite.h"
#include "registry/log/merkle.h"
#include "tests/registry/support.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;
using format::Version;
using Mode = Registry::Mode;

TEST_CASE("registry: what is published can be resolved, opened and verified") {
  const Fixture fixture;
  const PublishResult result = fixture.publish();
  CHECK(result.is_signed);
  CHECK(result.log_index == 2);  // after the log's key and the trusted key
  const Registry registry = fixture.open(Mode::read);
  const ResolvedVersion version = registry.resolve(reference("legal/contracts"));
  CHECK(version.digest == result.digest);
  CHECK(version.signature_count == 1);
  const auto organ = registry.open_organ(version);
  CHECK(organ->manifest().name == "legal/contracts");
  CHECK(organ->manifest().files.size() ==
        format::OrganFolder::open(fixture.organ_folder).manifest().files.size());
  CHECK(format::verify_contents(*organ, {.flat_digests = true}).empty());
  CHECK(registry.evaluate(version, *organ).trusted());
  CHECK(verify_all(fixture) == "no finding");
}

TEST_CASE(
    "registry: the log says when something was published, not when files are wished to be made") {
  const Fixture fixture;
  ::setenv("SOURCE_DATE_EPOCH", "0", 1);
  fixture.publish();
  ::unsetenv("SOURCE_DATE_EPOCH");
  CHECK(fixture.open().history("legal/contracts").front().entry.time > "2024");
}

TEST_CASE("registry: init refuses a folder with something in it and open makes nothing") {
  const Fixture fixture;
  CHECK(contains(error_of([&] { Registry::create(fixture.root); }), "already_exists: "));
  const fs::path nowhere = fixture.folder.path() / "nowhere";
  CHECK(contains(error_of([&] { Registry::open(nowhere, Mode::write); }), "not_found: "));
  CHECK(contains(error_of([] { Registry::open("", Mode::read); }), "invalid_argument: "));
  CHECK_FALSE(fs::exists(nowhere));
  fs::create_directory(nowhere);
  CHECK(contains(error_of([&] { Registry::open(nowhere, Mode::read); }), "not an organ registry"));
  CHECK(fs::is_empty(nowhere));
  CHECK_NOTHROW(Registry::create(nowhere));
}

TEST_CASE("registry: the same content again is fine, other content under a taken version is not") {
  const Fixture fixture;
  const PublishResult first = fixture.publish();
  const PublishResult again = fixture.publish();
  CHECK(again.already_published);
  CHECK(again.digest == first.digest);
  CHECK(again.new_bytes == 0);
  CHECK(fixture.open().history().size() == 3);

  const fs::path other = write_tiny_organ(fixture.folder.path() / "other", 2);
  const std::string refusal = error_of([&] {
    fixture.open().publish(format::OrganFolder::open(other), "legal/contracts",
                           Version::parse("1.0.0"), {.key = &fixture.key});
  });
  CHECK(contains(refusal, "already_exists: legal/contracts:1.0.0: already published"));
  CHECK(verify_all(fixture) == "no finding");
}

TEST_CASE("registry: a second key's signature is added to the version, not a new version") {
  const Fixture fixture;
  fixture.publish();
  const auto second = format::SecretKey::generate(format::Curve::p521);
  fixture.open().publish(format::OrganFolder::open(fixture.organ_folder), "legal/contracts",
                         Version::parse("1.0.0"), {.key = &second});
  const Registry registry = fixture.open(Mode::read);
  CHECK(registry.resolve(reference("legal/contracts:1.0.0")).signature_count == 2);
  CHECK(registry.history().back().entry.kind == LogKind::signature);
  CHECK(registry.list().size() == 1);
  CHECK(verify_all(fixture) == "no finding");
}

TEST_CASE("registry: a rule refuses unsigned organs, a name without a rule does not") {
  const Fixture fixture;
  const auto publish = [&](const std::string& name) {
    return error_of([&] {
      fixture.open().publish(format::OrganFolder::open(fixture.organ_folder), name,
                             Version::parse("1.0.0"));
    });
  };
  CHECK(contains(publish("legal/contracts"), "untrusted: "));
  CHECK(fixture.open().list().empty());
  CHECK(publish("medical/notes") == "no error");
  CHECK(contains(verify_all(fixture), "untrusted: medical/notes"));
}

TEST_CASE("registry: a signed organ cannot be published under another name without a key") {
  const Fixture fixture;
  format::sign_folder(format::OrganFolder::open(fixture.organ_folder), fixture.key);
  CHECK(contains(error_of([&] {
                   fixture.open().publish(format::OrganFolder::open(fixture.organ_folder),
                                          "legal/contracts", Version::parse("9.0.0"));
                 }),
                 "invalid_argument: "));
  CHECK_NOTHROW(fixture.publish("9.0.0"));
}

TEST_CASE("registry: a damaged organ is refused before anything is written") {
  const Fixture fixture;
  const fs::path file = fixture.organ_folder / "layer.00.safetensors";
  std::string bytes = slurp(file);
  bytes[bytes.size() - 5] = static_cast<char>(bytes[bytes.size() - 5] ^ 4);
  spill(file, bytes);
  CHECK(contains(error_of([&] { fixture.publish(); }), "corrupt: "));
  CHECK(fs::is_empty(fixture.root / "blobs" / "sha256"));
  CHECK(fixture.open().history().size() == 2);
}

TEST_CASE("registry: references choose the newest release, an alias, a version or a digest") {
  const Fixture fixture;
  for (const char* version : {"1.9.0", "1.10.0", "2.0.0-rc.1"}) fixture.publish(version);
  Registry registry = fixture.open();
  registry.set_alias("legal/contracts", "stable", Version::parse("1.9.0"));
  CHECK(registry.resolve(reference("legal/contracts")).version == "1.10.0");
  CHECK(registry.resolve(reference("legal/contracts@stable")).version == "1.9.0");
  const Digest digest = registry.resolve(reference("legal/contracts:2.0.0-rc.1")).digest;
  CHECK(registry.resolve(reference("legal/contracts@" + digest.to_string())).version ==
        "2.0.0-rc.1");
  registry.set_alias("legal/contracts", "stable", std::nullopt);
  CHECK(contains(error_of([&] { registry.resolve(reference("legal/contracts@stable")); }),
                 "not_found: "));
  CHECK(contains(error_of([&] { registry.resolve(reference("legal/contracts:3.0.0")); }),
                 "no such version"));
  CHECK(contains(error_of([&] { registry.resolve(reference("legal/none")); }), "no such organ"));
  CHECK(registry.organ_names() == std::vector<std::string>{"legal/contracts"});
  const fs::path path = fixture.root / "organ" / "catalog.db";
  Database(path, Database::Open::existing)
      .execute("UPDATE versions SET name = 'Upper' WHERE version = '1.9.0'");
  CHECK(registry.organ_names() == std::vector<std::string>{"legal/contracts"});
  CHECK(contains(error_of([&] { registry.resolve(reference("legal/none")); }), "not_found: "));
  Registry::rebuild(fixture.root);
  CHECK(verify_all(fixture) == "no finding");
}

TEST_CASE("registry: a rebuilt catalog holds exactly the same rows") {
  const Fixture fixture;
  for (const char* version : {"1.0.0", "1.1.0"}) fixture.publish(version);
  fixture.open().set_alias("legal/contracts", "stable", Version::parse("1.0.0"));
  const std::string before = fixture.open(Mode::read).dump();
  CHECK(fixture.open().write_index() == 2);
  const std::string index = slurp(fixture.root / "index.json");
  CHECK(contains(before, "1.1.0"));
  SUBCASE("by the command") {
    spill(fixture.root / "organ" / "catalog.db", "nothing of use");
    fs::remove(fixture.root / "index.json");
    const RebuildReport report = Registry::rebuild(fixture.root);
    CHECK(report.versions == 2);
    CHECK(report.entries == 5);
  }
  SUBCASE("by opening a registry without one") {
    fs::remove(fixture.root / "organ" / "catalog.db");
  }
  CHECK(fixture.open(Mode::read).dump() == before);
  CHECK(slurp(fixture.root / "index.json") == index);
  CHECK(verify_all(fixture) == "no finding");
}

TEST_CASE("registry: a catalog that lags behind the log catches up when it is opened") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const std::string old = slurp(fixture.root / "organ" / "catalog.db");
  fixture.publish("1.1.0");
  const std::string full = fixture.open(Mode::read).dump();
  spill(fixture.root / "organ" / "catalog.db", old);
  CHECK(fixture.open(Mode::read).dump() == full);
  CHECK(verify_all(fixture) == "no finding");
}

TEST_CASE("registry: damage to the catalog names the rebuild") {
  const Fixture fixture;
  fixture.publish();
  const fs::path path = fixture.root / "organ" / "catalog.db";
  const auto hint = [&]() -> std::string {
    try {
      const Registry registry = fixture.open(Mode::read);
      return all_findings(registry.verify_all());
    } catch (const Error& error) {
      return std::string(to_string(error.code())) + ": " + error.hint();
    }
  };
  SUBCASE("empty") { spill(path, ""); }
  SUBCASE("not SQLite") { spill(path, std::string(8192, 'x')); }
  SUBCASE("half of it") { spill(path, slurp(path).substr(0, 8192)); }
  SUBCASE("another program's database") {
    fs::remove(path);
    Database(path, Database::Open::create).execute("CREATE TABLE t (a)");
  }
  SUBCASE("a trigger of somebody else") {
    Database(path, Database::Open::existing)
        .execute("CREATE TRIGGER t AFTER INSERT ON aliases BEGIN DELETE FROM versions; END");
  }
  SUBCASE("a name that is none") {
    Database(path, Database::Open::existing).execute("UPDATE versions SET name = 'a' || char(27)");
  }
  SUBCASE("a digest that is none") {
    Database(path, Database::Open::existing).execute("UPDATE signatures SET manifest_digest = 'x'");
  }
  SUBCASE("a changed row") {
    Database(path, Database::Open::existing).execute("UPDATE versions SET version = '6.6.6'");
  }
  CHECK(contains(hint(), "corrupt: "));
  CHECK(contains(hint(), "organ registry rebuild"));
  Registry::rebuild(fixture.root);
  CHECK(verify_all(fixture) == "no finding");
}

TEST_CASE("registry: every flipped bit of the log is found") {
  const Fixture fixture;
  fixture.publish();
  const fs::path path = fixture.root / "organ" / "log";
  const std::string good = slurp(path);
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
    spill(path, bad);
    const std::string finding = verify_all(fixture);
    REQUIRE(contains(finding, "corrupt: "));
    REQUIRE(contains(finding, "organ/log"));
  }
  spill(path, good);
  CHECK(verify_all(fixture) == "no finding");
}

TEST_CASE("registry: a log that lost acknowledged entries is a rollback") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const std::string old_log = slurp(fixture.root / "organ" / "log");
  const std::string old_checkpoint = slurp(fixture.root / "organ" / "checkpoint");
  fixture.publish("1.1.0");
  fixture.publish("1.2.0");
  SUBCASE("log cut back") {
    spill(fixture.root / "organ" / "log", old_log);
    CHECK(contains(error_of([&] { fixture.open(); }), "rollback"));
  }
  SUBCASE("log and checkpoint of yesterday") {
    spill(fixture.root / "organ" / "log", old_log);
    spill(fixture.root / "organ" / "checkpoint", old_checkpoint);
    CHECK(contains(error_of([&] { fixture.open(); }), "corrupt: "));
  }
  SUBCASE("checkpoint of yesterday") {
    fs::remove(fixture.root / "organ" / "catalog.db");
    spill(fixture.root / "organ" / "checkpoint", old_checkpoint);
    CHECK(contains(error_of([&] { fixture.open(); }), "rollback of the checkpoint"));
  }
  SUBCASE("an entry told otherwise, with its right hash") {
    fs::remove(fixture.root / "organ" / "catalog.db");
    const std::string log = slurp(fixture.root / "organ" / "log");
    const std::size_t line = log.rfind('\n', log.size() - 2) + 1;
    std::string entry = log.substr(line + 65, log.size() - line - 66);
    entry.replace(entry.find("1.2.0"), 5, "1.3.0");
    spill(fixture.root / "organ" / "log",
          log.substr(0, line) + merkle_leaf(entry).hex() + " " + entry + "\n");
    CHECK(contains(error_of([&] { fixture.open(); }), "fork: over the first "));
  }
  SUBCASE("last byte") {
    const std::string log = slurp(fixture.root / "organ" / "log");
    spill(fixture.root / "organ" / "log", log.substr(0, log.size() - 1));
    CHECK(contains(error_of([&] { fixture.open(); }), "corrupt: "));
  }
}

TEST_CASE("registry: a torn last line that nobody was promised is cut off") {
  const Fixture fixture;
  fixture.publish();
  const fs::path path = fixture.root / "organ" / "log";
  const std::string good = slurp(path);
  for (const std::string& torn : {std::string("3"), good.substr(0, 80), std::string(4096, '\0')}) {
    spill(path, good + torn);
    CHECK(fixture.open().list().size() == 1);
    CHECK(slurp(path) == good);
  }
  spill(path, good + std::string(70000, '\0'));
  CHECK(contains(error_of([&] { fixture.open(); }), "corrupt: "));
}

TEST_CASE("registry: damaged objects are named with version and file") {
  const Fixture fixture;
  fixture.publish();
  const Registry registry = fixture.open(Mode::read);
  const auto version = registry.resolve(reference("legal/contracts"));
  const auto organ = registry.open_organ(version);
  const auto& files = organ->manifest().files;
  const format::FileEntry& layer = files.back();
  REQUIRE(layer.role == format::FileRole::layer);
  const fs::path weights = fixture.blob(layer.digest);
  SUBCASE("one bit of a weight") {
    std::string bytes = slurp(weights);
    bytes[bytes.size() - 9] = static_cast<char>(bytes[bytes.size() - 9] ^ 1);
    spill(weights, bytes);
    CHECK(contains(verify_all(fixture), "corrupt: " + layer.path));
  }
  SUBCASE("missing weight") {
    fs::remove(weights);
    CHECK(contains(verify_all(fixture), "corrupt: "));
  }
  SUBCASE("manifest") {
    std::string bytes = slurp(fixture.blob(version.digest));
    bytes[20] = static_cast<char>(bytes[20] ^ 1);
    spill(fixture.blob(version.digest), bytes);
    CHECK(contains(verify_all(fixture), "corrupt: legal/contracts:1.0.0"));
    CHECK(contains(error_of([&] { registry.open_organ(version); }), "content has digest"));
  }
  SUBCASE("index.json") {
    spill(fixture.root / "index.json", "{}");
    CHECK(contains(verify_all(fixture), "corrupt: index.json"));
    Registry::rebuild(fixture.root);
    CHECK(verify_all(fixture) == "no finding");
  }
}

TEST_CASE("registry: verifying an empty registry is a failure") {
  const Fixture fixture;
  CHECK(contains(error_of([&] { fixture.open(Mode::read).verify_all(); }), "nothing to verify"));
}

TEST_CASE("registry: versions with one architecture come best evaluation first") {
  const Fixture fixture;
  const auto publish = [&](const char* version, std::optional<double> nll) {
    const fs::path folder = fixture.folder.path() / version;
    fs::copy(fixture.organ_folder, folder);
    auto manifest = format::Manifest::parse(slurp(folder / "organ.json"), "organ.json");
    if (nll) {
      format::Evaluation evaluation;
      evaluation.subject = "after_recovery";
      evaluation.protocol = "P0";
      evaluation.context = evaluation.stride = 8;
      evaluation.tokens = 100;
      evaluation.nll = *nll;
      evaluation.perplexity = std::exp(*nll);
      evaluation.dataset = "held out";
      evaluation.dataset_digest = sha256("held out");
      manifest.evaluations = {evaluation};
    } else {
      manifest.evaluations.clear();
    }
    spill(folder / "organ.json", manifest.to_text());
    fixture.open().publish(format::OrganFolder::open(folder), "legal/contracts",
                           Version::parse(version), {.key = &fixture.key});
  };
  publish("1.0.0", 3.5);
  publish("1.1.0", std::nullopt);
  publish("1.2.0", 2.25);
  const Registry registry = fixture.open(Mode::read);
  VersionFilter filter;
  filter.architecture_signatures = {registry.list().front().architecture_signature};
  std::vector<std::string> order;
  for (const VersionInfo& version : registry.list(filter)) order.push_back(version.version);
  CHECK(order == std::vector<std::string>{"1.2.0", "1.0.0", "1.1.0"});
  filter.architecture_signatures = {sha256("another")};
  CHECK(registry.list(filter).empty());
}
