// SPDX-License-Identifier: Apache-2.0
// A registry that shows an old state, against users who demand a newer one.
#include "format/manifest/manifest.h"
#include "registry/history/log_check.h"
#include "registry/log/log.h"
#include "registry/log/moment.h"
#include "registry/notes/note_signer.h"
#include "registry/trust/known_logs.h"
#include "tests/registry/support.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;
using Mode = Registry::Mode;

namespace {

struct User {
  const Fixture* fixture;
  fs::path known = fixture->folder.path() / "config" / "trust";

  Registry open(Mode mode = Mode::read, std::optional<std::uint64_t> max_age = {}) const {
    return Registry::open(fixture->root, mode, {.known_registries = known, .max_age = max_age});
  }
  std::string refusal(std::optional<std::uint64_t> max_age = {}) const {
    return error_of([&] { open(Mode::read, max_age); });
  }
  void limit(std::optional<std::uint64_t> max_age) const {
    KnownLogs(known).limit_age(fs::canonical(fixture->root), max_age);
  }
};

// The checkpoint as it would have been signed so long ago; without a time: by an older organ.
void sign_ago(const Fixture& fixture, std::optional<std::uint64_t> seconds) {
  const fs::path organ = fixture.root / "organ";
  std::optional<std::uint64_t> time;
  if (seconds) time = static_cast<std::uint64_t>(format::clock_seconds()) - *seconds;
  const std::string note = sign_checkpoint({NoteSigner::load(organ / "log.key")},
                                           Log(organ).checkpoint(), NoteKind::checkpoint, time);
  spill(organ / "checkpoint", note);
}

TrustVerdict verdict(const Registry& registry) {
  const auto version = registry.resolve(format::Reference::parse("legal/contracts"));
  return registry.evaluate(version, *registry.open_organ(version));
}

}  // namespace

TEST_CASE("freeze: an old state is refused to who demands a newer one, and renewed by its owner") {
  const Fixture fixture;
  fixture.publish();
  const User user{&fixture};
  CHECK(user.refusal(kDay) == "no error");
  sign_ago(fixture, 3 * kDay);
  CHECK(user.refusal() == "no error");
  CHECK(user.refusal(4 * kDay) == "no error");
  CHECK(contains(user.refusal(2 * kDay), "untrusted: "));
  CHECK(contains(user.refusal(2 * kDay), "freeze: its newest state was signed 3 days ago"));
  // Who writes is told, and may renew it.
  Registry writer = user.open(Mode::write, kDay);
  const auto notices = writer.take_notices();
  REQUIRE(notices.size() == 1);
  CHECK(contains(notices.front(), "freeze: "));
  writer.renew();
  CHECK(user.refusal(kDay) == "no error");
}

TEST_CASE("freeze: the limit that a user has set stays, whatever else is forgotten") {
  const Fixture fixture;
  fixture.publish();
  const User user{&fixture};
  CHECK(contains(error_of([&] { user.limit(kDay); }), "not_found: "));
  user.open();
  user.limit(kDay);
  CHECK(user.open().max_age() == kDay);
  CHECK(user.open(Mode::read, 5).max_age() == 5);
  CHECK(user.open(Mode::read, 5 * kDay).max_age() == kDay);
  sign_ago(fixture, 2 * kDay);
  CHECK(contains(user.refusal(), "freeze: "));
  CHECK(contains(error_of([&] {
                   Registry::open(fixture.root, Mode::read,
                                  {.known_registries = user.known, .forget_seen = true});
                 }),
                 "freeze: "));
  user.limit({});
  CHECK(user.refusal() == "no error");
}

TEST_CASE("freeze: a checkpoint without a time is refused under a limit, warned of without") {
  const Fixture fixture;
  fixture.publish();
  const User user{&fixture};
  sign_ago(fixture, {});
  CHECK(contains(user.refusal(kDay), "does not say when it was signed"));
  const TrustVerdict without = verdict(user.open());
  CHECK(without.trusted());
  REQUIRE(without.warnings.size() == 1);
  CHECK(contains(without.warnings.front().message, "freeze: "));
}

TEST_CASE("freeze: a verdict says how old the state is") {
  const Fixture fixture;
  fixture.publish();
  const auto says = [&](const std::vector<std::string>& sentences) {
    for (const std::string& sentence : sentences) {
      if (contains(sentence, "the registry's newest state was signed at")) return true;
    }
    return false;
  };
  CHECK(says(verdict(fixture.open(Mode::read)).established));
  sign_ago(fixture, 40 * kDay);
  const TrustVerdict old = verdict(fixture.open(Mode::read));
  CHECK(old.trusted());
  CHECK(!says(old.established));
  REQUIRE(old.warnings.size() == 1);
  CHECK(contains(old.warnings.front().message, "freeze: its newest state was signed 40 days ago"));
}

TEST_CASE("freeze: the check of the whole log names it") {
  const Fixture fixture;
  fixture.publish();
  sign_ago(fixture, 3 * kDay);
  LogCheck check = check_log(fixture.root, {.max_age = kDay});
  REQUIRE(check.findings.size() == 1);
  CHECK(contains(check.findings.front().message, "freeze: "));
  CHECK(check.max_age == kDay);
  check = check_log(fixture.root);
  CHECK(check.findings.empty());
  REQUIRE(check.signed_at);
}
