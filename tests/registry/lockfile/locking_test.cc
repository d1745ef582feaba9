// SPDX-License-Identifier: Apache-2.0
// Lock files made, updated, and compared with a registry that lives on or is another one.
#include "registry/lockfile/locking.h"

#include <algorithm>

#include "tests/registry/support.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;
using Mode = Registry::Mode;
using Withdrawal = Registry::Withdrawal;

namespace {

constexpr char kName[] = "legal/contracts";

LockFile lock_of(const Fixture& fixture, const std::vector<std::string>& texts) {
  std::vector<format::Reference> references;
  references.reserve(texts.size());
  for (const std::string& text : texts) references.push_back(reference(text));
  return lock_versions(fixture.open(Mode::read), references);
}

// "CODE SUBJECT: MESSAGE" of each finding.
std::string findings(const Fixture& fixture, const LockFile& lock) {
  std::string text;
  for (const format::Finding& finding : check_lock(lock, fixture.open(Mode::read))) {
    text += std::string(to_string(finding.code)) + " " + finding.subject + ": " + finding.message +
            "\n";
  }
  return text;
}

std::string resolved(const Fixture& fixture, const LockFile& lock, const std::string& text) {
  return error_of([&] { resolve_locked(lock, fixture.open(Mode::read), reference(text)); });
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const std::size_t at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), with);
}

}  // namespace

TEST_CASE("lock: what is locked survives its text, and equal states give equal bytes") {
  const Fixture fixture;
  for (const char* text : {"1.0.0", "1.2.0", "2.0.0"}) fixture.publish(text);
  fixture.publish("1.0.0", "legal/other");
  const LockFile lock = lock_of(fixture, {"legal/other", "legal/contracts@^1.0"});
  REQUIRE(lock.organs.size() == 2);
  const LockedOrgan& contracts = lock.organs[0];
  CHECK(contracts.name == kName);
  CHECK(contracts.asked == "legal/contracts@^1.0");
  CHECK(contracts.version == "1.2.0");
  CHECK(contracts.files.front().path == "organ.json");
  CHECK(contracts.files.size() > 1);
  const auto now = fixture.open(Mode::read).resolve(reference("legal/contracts:1.2.0"));
  CHECK(contracts.manifest == BlobRef{now.digest, now.manifest_size});
  CHECK(contracts.log_index == now.log_index);
  CHECK(lock.log_size == fixture.open(Mode::read).log_size());
  CHECK(LockFile::parse(lock.to_text(), "x") == lock);
  CHECK(lock_of(fixture, {"legal/contracts@^1.0", "legal/other"}).to_text() == lock.to_text());
  CHECK(findings(fixture, lock).empty());
}

TEST_CASE("lock: what cannot be locked") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  fixture.publish("1.1.0");
  const auto refusal = [&](const std::vector<std::string>& texts) {
    return error_of([&] { lock_of(fixture, texts); });
  };
  CHECK(contains(refusal({}), "invalid_argument: "));
  CHECK(contains(refusal({"legal/contracts", "legal/contracts:1.0.0"}), "is asked for twice"));
  CHECK(contains(refusal({"legal/contracts@^7"}), "not_found: "));
  fixture.open().withdraw(Withdrawal::revoke, kName, version("1.0.0"), "memorises");
  CHECK(contains(refusal({"legal/contracts:1.0.0"}), "is revoked: memorises"));
}

TEST_CASE("lock: it holds its version while newer ones come, and says so") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const LockFile lock = lock_of(fixture, {"legal/contracts@^1"});
  const LockFile exact = lock_of(fixture, {"legal/contracts:1.0.0"});
  fixture.publish("1.1.0");
  CHECK(resolve_locked(lock, fixture.open(Mode::read), reference(kName)).version == "1.0.0");
  CHECK(findings(fixture, lock) ==
        "incompatible legal/contracts:1.0.0: is out of date: legal/contracts@^1 is 1.1.0 now\n");
  CHECK(findings(fixture, exact).empty());

  const Registry registry = fixture.open(Mode::read);
  const LockFile updated = update_lock(lock, registry, {kName});
  CHECK(updated.organs[0].version == "1.1.0");
  CHECK(updated.log_size > lock.log_size);
  CHECK(findings(fixture, updated).empty());
  CHECK(update_lock(exact, registry, {kName}) == exact);  // to the byte, although the log grew
  CHECK(contains(error_of([&] { update_lock(lock, registry, {"legal/none"}); }), "not_found: "));
}

TEST_CASE("lock: a reference has to agree with what is locked") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  fixture.open().set_alias(kName, "stable", version("1.0.0"));
  const LockFile lock = lock_of(fixture, {"legal/contracts@stable"});
  const std::string digest = lock.organs[0].manifest.digest.to_string();
  for (const char* text : {"", ":1.0.0", "@stable", "@^1", "@*"}) {
    CAPTURE(text);
    CHECK(resolved(fixture, lock, std::string(kName) + text) == "no error");
  }
  CHECK(resolved(fixture, lock, kName + ("@" + digest)) == "no error");
  for (const char* text : {":1.1.0", "@^2", "@latest"}) {
    CAPTURE(text);
    CHECK(resolved(fixture, lock, std::string(kName) + text).starts_with("incompatible: "));
  }
  CHECK(
      resolved(fixture, lock, kName + ("@" + Digest().to_string())).starts_with("incompatible: "));
  CHECK(resolved(fixture, lock, "legal/other").starts_with("not_found: "));
  // Where the alias points now is not asked, but by check.
  fixture.publish("1.1.0");
  fixture.open().set_alias(kName, "stable", version("1.1.0"));
  CHECK(resolved(fixture, lock, "legal/contracts@stable") == "no error");
  CHECK(contains(findings(fixture, lock), "legal/contracts@stable is 1.1.0 now"));
  fixture.open().set_alias(kName, "stable", std::nullopt);
  CHECK(contains(findings(fixture, lock), "is out of date: "));
}

TEST_CASE("lock: withdrawals are findings of their classes") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const LockFile lock = lock_of(fixture, {"legal/contracts:1.0.0"});
  fixture.open().withdraw(Withdrawal::yank, kName, version("1.0.0"), "a draft");
  CHECK(findings(fixture, lock) == "incompatible legal/contracts:1.0.0: is yanked: a draft\n");
  CHECK(resolved(fixture, lock, kName) == "no error");
  fixture.open().withdraw(Withdrawal::revoke, kName, version("1.0.0"), "memorises");
  CHECK(findings(fixture, lock) == "untrusted legal/contracts:1.0.0: is revoked: memorises\n");
}

TEST_CASE("lock: another history, another key and other content are told apart") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const fs::path early = fixture.folder.path() / "early";
  fs::copy(fixture.root, early, fs::copy_options::recursive);
  fixture.publish("1.1.0");
  const LockFile lock = lock_of(fixture, {"legal/contracts@^1"});
  const auto become = [&](const fs::path& other) {
    fs::remove_all(fixture.root);
    fs::copy(other, fixture.root, fs::copy_options::recursive);
  };
  const auto refusal = [&] {
    return error_of([&] { require_same_log(lock, fixture.open(Mode::read)); });
  };
  CHECK(refusal() == "no error");
  SUBCASE("a registry that went back") {
    become(early);
    CHECK(contains(refusal(), "untrusted: "));
    CHECK(contains(refusal(), "rollback"));
  }
  SUBCASE("one that went on otherwise") {
    become(early);
    fixture.publish("1.2.0");
    CHECK(contains(refusal(), "untrusted: "));
    CHECK(contains(refusal(), "fork"));
    CHECK(
        contains(error_of([&] { update_lock(lock, fixture.open(Mode::read), {kName}); }), "fork"));
  }
  SUBCASE("another one in its place") {
    const Fixture other;
    other.publish("1.0.0");
    other.publish("1.1.0");
    become(other.root);
    CHECK(contains(refusal(), "does not follow the lock file's"));
    CHECK(findings(fixture, lock).starts_with("untrusted organ-registry/"));
  }
  SUBCASE("a lock file that names other content") {
    LockFile changed = lock;
    changed.organs[0].manifest.digest = sha256("other content");
    CHECK(resolved(fixture, changed, kName).starts_with("untrusted: "));
    CHECK(contains(findings(fixture, changed), "was locked as"));
  }
}

TEST_CASE("lock: a key that follows the locked one by its roots is the same log's") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const LockFile lock = lock_of(fixture, {"legal/contracts@^1"});
  const auto refusal = [&](const LockFile& of) {
    return error_of([&] { require_same_log(of, fixture.open(Mode::read)); });
  };
  Registry writer = fixture.open();
  rotate(writer);
  rotate(writer);
  CHECK(writer.log_key() != lock.log_key);
  CHECK(refusal(lock) == "no error");
  CHECK(findings(fixture, lock).empty());
  fixture.publish("1.1.0");
  const LockFile updated = update_lock(lock, fixture.open(Mode::read), {kName});
  CHECK(updated.log_key == writer.log_key());
  CHECK(refusal(updated) == "no error");
  LockFile ahead = lock;  // with a key that the log had only later
  ahead.log_key = updated.log_key;
  CHECK(contains(refusal(ahead), "untrusted: "));
  CHECK(contains(refusal(ahead), "does not follow the lock file's"));
}

TEST_CASE("lock: an organ folder is compared by its organ.json") {
  const Fixture fixture;
  const auto organ = format::OrganFolder::open(fixture.organ_folder);
  const format::Manifest& manifest = organ.manifest();
  fixture.publish(manifest.version, manifest.name);
  const LockFile lock = lock_of(fixture, {manifest.name + ":" + manifest.version});
  CHECK_NOTHROW(require_locked(lock, organ));
  LockFile changed = lock;
  changed.organs[0].files[0].blob.digest = sha256("another organ.json");
  CHECK(error_of([&] { require_locked(changed, organ); }).starts_with("untrusted: "));
  changed = lock;
  changed.organs[0].version = "9.0.0";
  CHECK(error_of([&] { require_locked(changed, organ); }).starts_with("incompatible: "));
  changed.organs.clear();
  CHECK(error_of([&] { require_locked(changed, organ); }).starts_with("not_found: "));
}

TEST_CASE("lock: a file that no organ wrote is refused") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  fixture.publish("1.0.0", "legal/other");
  const std::string good = lock_of(fixture, {"legal/contracts", "legal/other"}).to_text();
  const auto refusal = [&](const std::string& text) {
    return error_of([&] { LockFile::parse(text, "organ.lock"); });
  };
  REQUIRE(refusal(good) == "no error");
  const std::vector<std::pair<std::string, std::string>> changes = {
      {"\"schema_version\": 1", "\"schema_version\": true"},
      {"\"asked\": \"legal/contracts\"", "\"asked\": \"legal/other\""},
      {"\"asked\": \"legal/contracts\"", "\"asked\": \"legal/contracts@^\""},
      {"\"asked\": \"legal/contracts\"", "\"asked\": \"../contracts\""},
      {"\"name\": \"legal/contracts\"", "\"name\": \"legal/zebra\""},
      {"\"version\": \"1.0.0\"", "\"version\": \"1.0\""},
      {"\"path\": \"organ.json\"", "\"path\": \"other.json\""},
      {"\"log_index\": 2", "\"log_index\": 999"},
      {"\"log_index\": 2", "\"log_index\": -2"},
      {"sha256:", "sha512:"},
      {"\"origin\": \"organ-registry/", "\"origin\": \"other-registry/"},
      {"\"log\": {", "\"surprise\": 1, \"log\": {"},
      {"\"organs\": [", "\"organs\": [null, "},
  };
  for (const auto& [what, with] : changes) {
    const std::string before = what, after = with;
    CAPTURE(before);
    CAPTURE(after);
    CHECK(refusal(replaced(good, before, after)).starts_with("corrupt: organ.lock"));
  }
  CHECK(refusal(replaced(good, "\"schema_version\": 1", "\"schema_version\": 2"))
            .starts_with("unsupported_version: organ.lock"));
  CHECK(refusal(good.substr(0, good.size() / 2)).starts_with("corrupt: 'organ.lock'"));
  LockFile lock = LockFile::parse(good, "x");
  std::ranges::reverse(lock.organs);
  CHECK(contains(refusal(lock.to_text()), "each once, by name"));
  lock.organs[1] = lock.organs[0];
  CHECK(contains(refusal(lock.to_text()), "each once, by name"));
}
