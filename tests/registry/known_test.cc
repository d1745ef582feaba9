// SPDX-License-Identifier: Apache-2.0
// What a user has seen of a registry, against a registry that changes as a whole.
#include "tests/registry/support.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;
using Mode = Registry::Mode;

namespace {

struct User {
  const Fixture* fixture;
  fs::path known = fixture->folder.path() / "config" / "trust";

  Registry open(Mode mode = Mode::read) const {
    return Registry::open(fixture->root, mode, {.known_registries = known});
  }
  std::string refusal() const {
    return error_of([&] { open(); });
  }
};

void replace_folder(const fs::path& from, const fs::path& to) {
  fs::remove_all(to);
  fs::copy(from, to, fs::copy_options::recursive);
}

}  // namespace

TEST_CASE("known registry: first use is said once, and each change is followed") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const User user{&fixture};
  const auto first = user.open().take_notices();
  REQUIRE(first.size() == 1);
  CHECK(contains(first.front(), "is met for the first time; its log key is organ-registry/"));
  for (const char* text : {"1.1.0", "1.2.0"}) {
    fixture.publish(text);
    CHECK(user.open().take_notices().empty());
  }
  CHECK(list_folder(user.known).size() == 2);  // the lock and one registry
}

TEST_CASE("known registry: another registry in its place is refused until it is accepted") {
  const Fixture fixture, other;
  fixture.publish("1.0.0");
  other.publish("9.0.0");
  const User user{&fixture};
  user.open();
  replace_folder(other.root, fixture.root);
  CHECK(contains(user.refusal(), "untrusted: "));
  CHECK(contains(user.refusal(), "another registry is in its place"));
  CHECK(contains(error_of([&] { user.open(Mode::write); }), "another registry is in its place"));
  Registry::open(fixture.root, Mode::read, {.known_registries = user.known, .forget_seen = true});
  CHECK(user.open().list().size() == 1);
}

TEST_CASE("known registry: rollback and fork are told from what was seen") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const fs::path yesterday = fixture.folder.path() / "yesterday";
  replace_folder(fixture.root, yesterday);
  fixture.publish("1.1.0");
  const User user{&fixture};
  user.open();
  SUBCASE("everything as it was yesterday") {
    replace_folder(yesterday, fixture.root);
    CHECK(contains(user.refusal(), "untrusted: "));
    CHECK(contains(user.refusal(), "rollback"));
  }
  SUBCASE("another history by who has the key") {
    replace_folder(yesterday, fixture.root);
    fixture.publish("2.0.0");
    CHECK(contains(user.refusal(), "fork"));
    fixture.publish("2.1.0");
    CHECK(contains(user.refusal(), "untrusted: "));
  }
  SUBCASE("what was seen is compared before anything is mended") {
    fs::copy_file(yesterday / "organ" / "checkpoint", fixture.root / "organ" / "checkpoint",
                  fs::copy_options::overwrite_existing);
    fs::remove(fixture.root / "organ" / "pending");
    fs::remove(fixture.root / "organ" / "catalog.db");
    const std::string log = slurp(fixture.root / "organ" / "log");
    CHECK(contains(error_of([&] { user.open(Mode::write); }), "rollback"));
    CHECK(contains(
        error_of([&] { Registry::rebuild(fixture.root, {.known_registries = user.known}); }),
        "rollback"));
    CHECK(slurp(fixture.root / "organ" / "log") == log);
  }
  SUBCASE("more of the same history") {
    fixture.publish("1.2.0");
    CHECK(user.refusal() == "no error");
  }
}

TEST_CASE("known registry: a key that must be is the key that is") {
  const Fixture fixture, other;
  const std::string key = fixture.open(Mode::read).log_key();
  CHECK_NOTHROW(Registry::open(fixture.root, Mode::read, {.log_key = key}));
  CHECK(contains(error_of([&] { Registry::open(other.root, Mode::read, {.log_key = key}); }),
                 "untrusted: "));
}

TEST_CASE("known registry: withdrawals and aliases from before the memory still hold") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  fixture.publish("1.1.0");
  fixture.open().withdraw(Registry::Withdrawal::revoke, "legal/contracts", version("1.1.0"), "bad");
  fixture.open().set_alias("legal/contracts", "stable", version("1.0.0"));
  const User user{&fixture};
  user.open();
  const Registry again = user.open();
  CHECK(again.resolve(reference("legal/contracts:1.1.0")).revoke_reason == "bad");
  CHECK(again.resolve(reference("legal/contracts@stable")).version == "1.0.0");
  CHECK(again.policy().rules().size() == 1);
}

TEST_CASE("known registry: a folder that cannot be written is said, and the registry is read") {
  const Fixture fixture;
  fixture.publish();
  const fs::path taken = fixture.folder.path() / "taken";
  write_file(taken, "a file");
  Registry registry =
      Registry::open(fixture.root, Mode::read, {.known_registries = taken / "trust"});
  const auto notices = registry.take_notices();
  REQUIRE(notices.size() == 2);
  CHECK(contains(notices.back(), "could not be remembered"));
  CHECK(registry.list().size() == 1);
}

TEST_CASE("known registry: a damaged memory is named, never overwritten") {
  const Fixture fixture;
  fixture.publish();
  const User user{&fixture};
  user.open();
  for (const std::string& name : list_folder(user.known)) {
    if (name != "lock") spill(user.known / name, "{}");
  }
  CHECK(contains(user.refusal(), "corrupt: "));
  CHECK(contains(user.refusal(), "schema_version"));
}

TEST_CASE("known registry: what organs of before know is written as they wrote it") {
  const Fixture fixture;
  for (const char* text : {"1.0.0", "1.1.0"}) fixture.publish(text);
  const User user{&fixture};
  user.open();
  fs::path file;
  for (const auto& entry : fs::directory_iterator(user.known)) {
    if (entry.path().extension() == ".json") file = entry.path();
  }
  CHECK_FALSE(contains(slurp(file), "superseded"));
  CHECK_FALSE(contains(slurp(file), "taken_down"));
  fixture.open().supersede("legal/contracts", version("1.0.0"),
                           Supersession{"legal/contracts:1.1.0", "new laws"});
  const auto superseded = user.open().resolve(reference("legal/contracts:1.0.0")).superseded;
  REQUIRE(superseded);
  CHECK(superseded->by == "legal/contracts:1.1.0");
  // Remembered, it is there without the log being read again.
  CHECK(contains(slurp(file), "new laws"));
  CHECK(user.open().resolve(reference("legal/contracts:1.0.0")).superseded == superseded);
}
