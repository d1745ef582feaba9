// SPDX-License-Identifier: Apache-2.0
#include "registry/catalog/catalog.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "registry/catalog/internal/migrations.h"
#include "registry/catalog/internal/sqlite.h"
#include "registry/oci/oci.h"
#include "tests/support/support.h"
#include "tests/support/tiny_organ.h"

using namespace organ;
using namespace organ::registry;
using format::Version;

namespace {

// What can be said of a version without a registry around it.
struct Row {
  std::string name, version;
  std::string description = {}, license = {}, model_type = "llama";
  std::string layers = "a";  // equal text, equal signature
  std::optional<double> nll = {};
};

class Rows {
 public:
  Rows() {
    test::write_tiny_checkpoint(folder_.path() / "donor");
    base_ = test::tiny_manifest(folder_.path() / "donor", 1);
  }

  void add(const Row& row) {
    Catalog::Update update(catalog_);
    const PublishedContent content{content_of(row), {sha256(row.version), 7}};
    LogEntry entry;
    entry.kind = LogKind::publish;
    entry.time = "2026-01-01T00:00:00Z";
    entry.name = row.name;
    entry.version = row.version;
    entry.manifest = BlobRef{sha256(row.name + ":" + row.version), 100};
    update.add({count_, 10 * count_}, entry, &content);
    ++count_;
    update.commit({});
  }

  const Catalog& catalog() const { return catalog_; }

 private:
  format::Manifest content_of(const Row& row) const {
    format::Manifest organ = base_;
    organ.name = row.name;
    organ.version = row.version;
    organ.description = row.description;
    if (!row.license.empty()) organ.license = row.license;
    organ.architecture.model_type = row.model_type;
    organ.architecture.signature = sha256(row.layers);
    organ.evaluations.clear();
    if (row.nll) {
      format::Evaluation evaluation;
      evaluation.subject = "as_transplanted";
      evaluation.nll = *row.nll;
      organ.evaluations.push_back(evaluation);
    }
    return organ;
  }

  TempFolder folder_ = test::scratch();
  format::Manifest base_;
  Catalog catalog_ = Catalog::in_memory();
  std::uint64_t count_ = 0;
};

std::vector<std::string> titles(const Catalog& catalog, const VersionFilter& filter) {
  std::vector<std::string> found;
  for (const VersionInfo& version : catalog.list(filter)) {
    found.push_back(version.name + ":" + version.version);
  }
  return found;
}

using Titles = std::vector<std::string>;

}  // namespace

TEST_CASE("catalog: the newest release or pre-release is the one of highest precedence") {
  std::mt19937 random(7);
  const auto below = [&](unsigned limit) { return random() % limit; };
  for (int round = 0; round < 20; ++round) {
    Rows rows;
    std::vector<std::string> texts;
    std::set<std::string> taken, refused;
    for (int i = 0; i < 25; ++i) {
      const std::uint64_t numbers[] = {0, 1, 2, 9, 10, 11, 99, 100, 999999999999999999U};
      std::string text = fmt::format("{}.{}.{}", numbers[below(9)], numbers[below(9)], below(3));
      if (below(4) == 0) text += "-rc." + std::to_string(below(12));
      if (below(4) == 0) text += "+build-" + std::to_string(below(3));
      if (!taken.insert(text).second) continue;
      rows.add({.name = "legal/a", .version = text});
      texts.push_back(text);
      if (below(3) == 0) refused.insert(text);
    }
    rows.add({.name = "legal/b", .version = "999999999999999999.0.0"});
    rows.add({.name = "legal/b", .version = "999999999999999999.0.1-rc.1"});
    const auto wanted = [&](const std::string& version) { return !refused.contains(version); };
    for (const bool early : {false, true}) {
      std::optional<std::string> expected;  // the first of equals: build metadata decides nothing
      for (const std::string& text : texts) {
        const Version version = Version::parse(text);
        if (version.is_prerelease() != early || refused.contains(text)) continue;
        if (!expected || std::is_gt(version.precedence(Version::parse(*expected)))) expected = text;
      }
      const auto newest = early ? rows.catalog().newest_prerelease("legal/a", wanted)
                                : rows.catalog().newest("legal/a", wanted);
      CHECK(newest.has_value() == expected.has_value());
      if (newest && expected) CHECK(newest->version == *expected);
    }
  }
}

TEST_CASE("catalog: words find what begins with them, whatever else stands in the question") {
  Rows rows;
  rows.add({.name = "legal/contracts", .version = "1.0.0", .description = "German tenancy law"});
  rows.add({.name = "med/notes",
            .version = "1.0.0",
            .description = "Ärztliche Briefe",
            .license = "mit"});
  const Catalog& catalog = rows.catalog();
  const auto found = [&](const char* text) { return titles(catalog, {.text = text}); };
  CHECK(found("tenan") == Titles{"legal/contracts:1.0.0"});
  CHECK(found("TENANCY german") == Titles{"legal/contracts:1.0.0"});
  CHECK(found("ärzt") == Titles{"med/notes:1.0.0"});
  CHECK(found("contracts notes").empty());
  CHECK(found("mit") == Titles{"med/notes:1.0.0"});
  // FTS5's own words and signs are words and separators like any other.
  CHECK(found("\"tenancy\" AND").empty());
  CHECK(found("law\"*) -(") == Titles{"legal/contracts:1.0.0"});
  CHECK(found("name:law").empty());
  CHECK(found("legal NEAR/2").empty());
  CHECK(found("^^ ").size() == 2);  // no word: nothing is demanded
}

TEST_CASE("catalog: of several architectures the best evaluation comes first, however many rows") {
  Rows rows;
  std::mt19937 random(3);
  std::vector<std::pair<double, std::string>> measured;
  Titles unmeasured;
  for (int i = 0; i < 60; ++i) {
    Row row{.name = fmt::format("legal/o{:02}", i), .version = "1.0.0"};
    row.layers = std::string(1, "abcd"[random() % 4]);
    if (random() % 3 != 0) row.nll = static_cast<double>(random() % 20) / 8;
    rows.add(row);
    if (row.layers == "d") continue;
    if (row.nll)
      measured.emplace_back(*row.nll, row.name + ":1.0.0");
    else
      unmeasured.push_back(row.name + ":1.0.0");
  }
  std::ranges::sort(measured);
  Titles expected;
  for (const auto& [nll, title] : measured) expected.push_back(title);
  expected.insert(expected.end(), unmeasured.begin(), unmeasured.end());
  const VersionFilter filter{.architecture_signatures = {sha256("a"), sha256("b"), sha256("c")}};
  CHECK(titles(rows.catalog(), filter) == expected);
  VersionFilter first = filter;
  first.limit = 5;
  CHECK(titles(rows.catalog(), first) == Titles(expected.begin(), expected.begin() + 5));
  CHECK(titles(rows.catalog(), {.architecture_signatures = {sha256("none")}}).empty());
}

TEST_CASE("catalog: what fits comes in order without being sorted, measured or not") {
  const Database database({}, Database::Open::memory);
  for (const std::string_view migration : kMigrations) database.execute(std::string(migration));
  for (const std::string tail :
       {"NOT NULL ORDER BY v.best_nll, v.name, v.id", "NULL ORDER BY v.name, v.id"}) {
    CAPTURE(tail);
    Statement plan = database.prepare(
        "EXPLAIN QUERY PLAN SELECT v.description FROM versions v "
        "WHERE v.architecture_signature = 'x' AND v.best_nll IS " +
        tail);
    std::string steps;
    while (plan.step()) steps += plan.text(3) + "\n";
    CHECK(steps.find("versions_by_fit") != std::string::npos);
    CHECK(steps.find("B-TREE") == std::string::npos);
  }
}

TEST_CASE("catalog: an index of before is the beginning of today's") {
  Rows rows;
  std::vector<std::string> before;
  for (int i = 0; i < 4; ++i) {
    before.push_back(index_text(rows.catalog().index_entries()));
    rows.add({.name = "legal/a", .version = fmt::format("1.{}.0", i)});
  }
  const std::string now = index_text(rows.catalog().index_entries());
  for (const std::string& text : before) CHECK(is_index_beginning(text, now));
  CHECK(is_index_beginning(now, now));
  CHECK_FALSE(is_index_beginning(now, before.back()));
  CHECK_FALSE(is_index_beginning("{}", now));
  for (std::size_t i = 0; i < now.size(); ++i) {
    std::string changed = now;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    CHECK_FALSE(is_index_beginning(changed, now));
    CHECK_FALSE(is_index_beginning(now.substr(0, i), now));
  }
}
