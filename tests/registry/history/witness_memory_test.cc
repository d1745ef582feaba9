// SPDX-License-Identifier: Apache-2.0
// What witnesses, and those who rely on them, remember; and what counts that they have not seen.
#include "format/manifest/manifest.h"
#include "registry/history/log_check.h"
#include "registry/log/log.h"
#include "registry/log/moment.h"
#include "registry/notes/note.h"
#include "tests/registry/history/watched.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;
using Mode = Registry::Mode;

namespace {

fs::path copy_of(const Watched& watched, const std::string& name) {
  fs::path copy = watched.fixture.folder.path() / name;
  fs::copy(watched.fixture.root, copy, fs::copy_options::recursive);
  return copy;
}

void put_there(const Watched& watched, const fs::path& folder) {
  fs::remove_all(watched.fixture.root);
  fs::copy(folder, watched.fixture.root, fs::copy_options::recursive);
}

std::uint64_t now() { return static_cast<std::uint64_t>(format::clock_seconds()); }

std::string moment_in(std::int64_t seconds) {
  return format::time_text(format::clock_seconds() + seconds);
}

// The checkpoint as it would have been signed so long ago.
void sign_ago(const Fixture& fixture, std::uint64_t seconds) {
  const fs::path organ = fixture.root / "organ";
  spill(organ / "checkpoint",
        sign_checkpoint({NoteSigner::load(organ / "log.key")}, Log(organ).checkpoint(),
                        NoteKind::checkpoint, now() - seconds));
}

}  // namespace

TEST_CASE("witness memory: one history of a log is cosigned, wherever its copies lie") {
  const Watched watched;
  watched.demand(1);
  const fs::path fork = copy_of(watched, "fork");
  watched.fixture.publish("1.1.0");
  watched.a.look();
  OpenOptions options = watched.a.options();
  const auto refusal = [&](const NoteSigner& key) {
    return error_of([&] { cosign(fork, options, key, watched.a.name); });
  };
  // Less of it is not more of it.
  CHECK(contains(refusal(watched.a.key), "5 entries of the log organ-registry/"));
  CHECK(contains(refusal(watched.a.key), "rollback"));
  Registry::open(fork, Mode::write)
      .set_alias("legal/contracts", "stable", format::Version::parse("1.0.0"));
  Registry::open(fork, Mode::write)
      .set_alias("legal/contracts", "beta", format::Version::parse("1.0.0"));
  CHECK(contains(refusal(watched.a.key), "untrusted: "));
  CHECK(contains(refusal(watched.a.key), "does not go on from there"));
  options.forget_seen = true;
  CHECK(contains(refusal(watched.a.key), "does not go on from there"));
  CHECK(contains(refusal(watched.b.key), "does not go on from there"));  // the same user's
  // Another place is no other log.
  CHECK(cosign(copy_of(watched, "mirror"), watched.a.options(), watched.a.key, watched.a.name)
            .entries == 5);
}

TEST_CASE("witness memory: what cannot be remembered is not cosigned") {
  const Watched watched;
  const fs::path file = watched.fixture.folder.path() / "file";
  write_file(file, "no folder");
  const std::string why = error_of([&] {
    cosign(watched.fixture.root, {.known_registries = file / "trust"}, watched.a.key, "a");
  });
  CHECK(contains(why, "could not be remembered"));
}

TEST_CASE("witness memory: a state that is refused is not remembered") {
  const Watched watched;
  watched.demand(1);
  const fs::path fork = copy_of(watched, "fork");
  watched.fixture.publish("1.1.0");
  watched.a.vouch();
  const std::string note = slurp(watched.a.file());
  const fs::path genuine = copy_of(watched, "genuine");
  put_there(watched, fork);
  watched.fixture.publish("9.0.0");
  fs::create_directories(watched.a.file().parent_path());
  write_file(watched.a.file(), note);
  const OpenOptions reader{.known_registries = watched.fixture.folder.path() / "reader"};
  const OpenOptions checker{.known_registries = watched.fixture.folder.path() / "checker"};
  CHECK(contains(error_of([&] { Registry::open(watched.fixture.root, Mode::read, reader); }),
                 "fork: "));
  CHECK(check_log(watched.fixture.root, checker).findings.size() == 1);
  CHECK(contains(error_of([&] {
                   cosign(watched.fixture.root, watched.b.options(), watched.b.key, watched.b.name);
                 }),
                 "fork: "));
  put_there(watched, genuine);
  CHECK(error_of([&] { Registry::open(watched.fixture.root, Mode::read, reader); }) == "no error");
  CHECK(check_log(watched.fixture.root, checker).findings.empty());
  watched.b.vouch();
}

TEST_CASE("witness memory: a state that is too old is not remembered") {
  const Watched watched;
  const fs::path fork = copy_of(watched, "fork");
  watched.fixture.publish("1.1.0");
  const fs::path genuine = copy_of(watched, "genuine");
  put_there(watched, fork);
  watched.fixture.publish("9.0.0");
  sign_ago(watched.fixture, 3 * kDay);
  const OpenOptions reader{.known_registries = watched.fixture.folder.path() / "reader",
                           .max_age = kDay};
  CHECK(contains(error_of([&] { Registry::open(watched.fixture.root, Mode::read, reader); }),
                 "freeze: "));
  REQUIRE(check_log(watched.fixture.root, reader).findings.size() == 1);
  put_there(watched, genuine);
  CHECK(error_of([&] { Registry::open(watched.fixture.root, Mode::read, reader); }) == "no error");
}

TEST_CASE("witnesses: a root that they have not seen takes no demand away") {
  const Watched watched;
  watched.demand(1, 2 * kDay);
  const std::string end = moment_in(-5);
  watched.change([&](LogRoot& root) { root.expires = end; });
  watched.a.vouch();
  watched.change([](LogRoot& root) {
    root.expires.clear();
    root.max_age.reset();
  });
  sign_ago(watched.fixture, 3 * kDay);
  const auto refusal = [&] { return error_of([&] { watched.read(); }); };
  const auto found = [&] {
    std::string text;
    for (const auto& finding : check_log(watched.fixture.root).findings) text += finding.message;
    return text;
  };
  CHECK(contains(refusal(), "freeze: "));
  CHECK(contains(found(), "freeze: "));
  sign_ago(watched.fixture, 0);
  CHECK(contains(refusal(), "expired: its log key counted until " + end));
  CHECK(contains(found(), "expired: "));
  // With their consent it does.
  watched.a.vouch();
  CHECK(refusal() == "no error");
  CHECK(found().empty());
}

TEST_CASE("witnesses: a signature that they have not seen does not count") {
  const Watched watched;
  const auto second = format::SecretKey::generate(format::Curve::p256);
  Registry writer = watched.fixture.open();
  writer.trust("legal/*", second.public_key());
  writer.set_rule("legal/*", PolicyMode::enforce, 1);
  watched.demand(1);
  watched.a.vouch();
  REQUIRE(watched.refusals("1.0.0").empty());
  watched.fixture.open().publish(format::OrganFolder::open(watched.fixture.organ_folder),
                                 "legal/contracts", format::Version::parse("1.0.0"),
                                 {.key = &second});
  watched.fixture.open().set_rule("legal/*", PolicyMode::enforce, 2);
  watched.a.vouch();
  REQUIRE(watched.refusals("1.0.0").empty());
  // The same again, the signature alone behind what was cosigned.
  const auto third = format::SecretKey::generate(format::Curve::p256);
  watched.fixture.open().trust("legal/*", third.public_key());
  watched.fixture.open().set_rule("legal/*", PolicyMode::enforce, 3);
  watched.a.vouch();
  watched.fixture.open().publish(format::OrganFolder::open(watched.fixture.organ_folder),
                                 "legal/contracts", format::Version::parse("1.0.0"),
                                 {.key = &third});
  CHECK(contains(watched.refusals("1.0.0"), "signed by 2 of the 3 trusted keys"));
  watched.a.vouch();
  CHECK(watched.refusals("1.0.0").empty());
}

TEST_CASE("witnesses: not witnessed is neither yanked nor handed on") {
  const Watched watched;
  watched.demand(1);
  watched.a.vouch();
  watched.fixture.publish("1.1.0");
  const auto waiting = [&] {
    return watched.read().resolve(format::Reference::parse("legal/contracts:1.1.0"));
  };
  CHECK(waiting().unwitnessed ==
        "not witnessed: too few witnesses have cosigned entry 4 of the log yet");
  CHECK_FALSE(waiting().yank_reason);
  CHECK(contains(error_of([&] { require_not_revoked(waiting()); }),
                 "untrusted: legal/contracts:1.1.0: not witnessed: "));
  CHECK(watched.read().list({.include_withdrawn = false}).size() == 1);
  // A yank of it is told apart.
  watched.fixture.open().withdraw(Registry::Withdrawal::yank, "legal/contracts",
                                  format::Version::parse("1.1.0"), "a draft");
  CHECK(waiting().yank_reason == "a draft");
  CHECK(waiting().unwitnessed);
  watched.a.vouch();
  CHECK_FALSE(waiting().unwitnessed);
  CHECK(error_of([&] { require_not_revoked(waiting()); }) == "no error");
}

TEST_CASE("witnesses: an older cosignature of the same entries takes no newer one back") {
  const Watched watched;
  watched.demand(1);
  SignedNote note = SignedNote::parse(watched.a.look().note, "note");
  const auto at = [&](std::uint64_t time) {
    note.signatures.back() = watched.a.key.cosign(watched.a.name, note.text, time);
    return note.to_string();
  };
  const std::string early = at(now() - 100), late = at(now());
  keep_cosignature(watched.fixture.root, early);
  keep_cosignature(watched.fixture.root, late);
  CHECK(contains(error_of([&] { keep_cosignature(watched.fixture.root, early); }), "conflict: "));
  CHECK(slurp(watched.a.file()) == late);
  keep_cosignature(watched.fixture.root, late);  // again is no harm
}

TEST_CASE("witnesses: what one that died left is removed") {
  const Watched watched;
  watched.demand(1);
  watched.a.vouch();
  const fs::path left = watched.a.file().parent_path() / ".0123.abcdef.tmp";
  write_file(left, "half a note");
  watched.fixture.publish("1.1.0");
  CHECK_FALSE(fs::exists(left));
  CHECK(fs::exists(watched.a.file()));
}
