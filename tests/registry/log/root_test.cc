// SPDX-License-Identifier: Apache-2.0
#include "registry/log/root.h"

#include <doctest/doctest.h>

#include "registry/log/facts.h"
#include "registry/notes/note_signer.h"
#include "tests/support/support.h"

using namespace organ;
using namespace organ::registry;

namespace {

constexpr char kOrigin[] = "organ-registry/0123456789abcdef";

struct Key {
  NoteSigner signer = NoteSigner::generate();
  std::string name;
  explicit Key(std::string name_ = kOrigin) : name(std::move(name_)) {}
  std::string verifier(NoteKeyType type = NoteKeyType::ed25519) const {
    return signer.verifier_key(name, type);
  }
};

std::string signed_by(const LogRoot& root, const std::vector<const Key*>& keys) {
  SignedNote note{.text = root_note_text(root, kOrigin), .signatures = {}};
  for (const Key* key : keys) note.signatures.push_back(key->signer.sign(key->name, note.text));
  return note.to_string();
}

std::string refusal(const LogRoot& former, const std::string& note) {
  return test::error_of([&] { next_root(former, note, kOrigin, "root"); });
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("root: one key hands over to another") {
  const Key log, next;
  const LogRoot first = LogRoot::first(log.verifier());
  LogRoot root = first;
  root.version = 2;
  root.log_key = next.verifier();
  root.keys = {next.verifier()};
  root.expires = "2030-01-01T00:00:00Z";
  root.max_age = 86400;
  CHECK(LogRoot::parse(root.to_text(), "root") == root);
  CHECK(next_root(first, signed_by(root, {&log, &next}), kOrigin, "root") == root);
  // Neither alone: the former one must allow it, the new one must be able to sign.
  CHECK(refusal(first, signed_by(root, {&next})) ==
        "untrusted: root: root 2 is signed by 0 keys of root 1, which asks for 1");
  CHECK(refusal(first, signed_by(root, {&log})) ==
        "untrusted: root: root 2 is signed by 0 of its own keys, it asks for 1");
  CHECK(refusal(first, signed_by(root, {})).starts_with("untrusted: "));
}

TEST_CASE("root: a threshold counts keys, not signatures") {
  const Key log, a("a.example"), b("b.example"), c("c.example"), stranger("x.example");
  LogRoot two = LogRoot::first(log.verifier());
  two.version = 2;
  two.keys = {a.verifier(), b.verifier(), c.verifier()};
  two.threshold = 2;
  LogRoot three = two;
  three.version = 3;
  three.threshold = 3;
  CHECK(refusal(two, signed_by(three, {&a, &b, &c})) == "no error");
  CHECK(holds(refusal(two, signed_by(three, {&a, &a, &a})), "signed by 1 key of root 2"));
  CHECK(holds(refusal(two, signed_by(three, {&a, &stranger})), "signed by 1 key of root 2"));
  CHECK(holds(refusal(two, signed_by(three, {&a, &b})), "by 2 of its own keys, it asks for 3"));
  const RootSignatures by =
      count_signatures(two, signed_by(three, {&a, &b, &stranger}), kOrigin, "root");
  CHECK(by.former == 2);
  CHECK(by.own == 2);
}

TEST_CASE("root: only the next version follows, of the same log, under its own signature") {
  const Key log;
  const LogRoot first = LogRoot::first(log.verifier());
  for (const std::uint64_t version : {1u, 3u, 4u}) {
    LogRoot root = first;
    root.version = version;
    CHECK(holds(refusal(first, signed_by(root, {&log})), "does not follow root 1"));
  }
  LogRoot root = first;
  root.version = 2;
  const std::string good = signed_by(root, {&log});
  REQUIRE(refusal(first, good) == "no error");
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    REQUIRE(refusal(first, bad) != "no error");
  }
  // A checkpoint is no root, and another log's root is not this one's.
  CHECK(holds(refusal(first, sign_checkpoint({log.signer}, {kOrigin, 7, sha256("root")})),
              "untrusted: "));
  SignedNote other{.text = root_note_text(root, "organ-registry/other"), .signatures = {}};
  other.signatures.push_back(log.signer.sign(log.name, other.text));
  CHECK(holds(refusal(first, other.to_string()), "begins with 'organ-registry/other/root'"));
  LogRoot renamed = root;
  renamed.log_key = Key("other.example").verifier();
  CHECK(holds(refusal(first, signed_by(renamed, {&log})), "another name than the log"));
}

TEST_CASE("root: what no root is") {
  const Key alone;
  SignedNote empty{.text = std::string(kOrigin) + "/root\n", .signatures = {}};
  empty.signatures.push_back(alone.signer.sign(alone.name, empty.text));
  const std::string nothing = refusal(LogRoot::first(alone.verifier()), empty.to_string());
  CHECK_MESSAGE(nothing.starts_with("corrupt: 'root'"), nothing);
  CHECK_MESSAGE(!holds(nothing, "18446744073709551615"), nothing);
  const Key log, witness("w.example");
  LogRoot good = LogRoot::first(log.verifier());
  good.witnesses = {witness.verifier(NoteKeyType::cosigner)};
  good.quorum = 1;
  const auto said = [](const LogRoot& root) {
    return test::error_of([&] { LogRoot::parse(root.to_text(), "root"); });
  };
  CHECK(said(good) == "no error");
  const auto with = [&](auto change) {
    LogRoot root = good;
    change(root);
    return said(root);
  };
  CHECK(holds(with([](LogRoot& root) { root.version = 0; }), "corrupt: root"));
  CHECK(holds(with([](LogRoot& root) { root.threshold = 0; }), "threshold"));
  CHECK(holds(with([](LogRoot& root) { root.threshold = 2; }), "threshold"));
  CHECK(holds(with([](LogRoot& root) { root.keys.clear(); }), "threshold"));
  CHECK(holds(with([](LogRoot& root) { root.keys.push_back(root.keys[0]); }), "has a key twice"));
  CHECK(holds(with([&](LogRoot& root) {
                Key twin = log;
                twin.name = "twin.example";
                root.keys.push_back(twin.verifier());
              }),
              "has a key twice"));
  CHECK(holds(with([](LogRoot& root) { root.keys = root.witnesses; }), "of the other kind"));
  CHECK(holds(with([](LogRoot& root) { root.witnesses = root.keys; }), "of the other kind"));
  CHECK(holds(with([](LogRoot& root) { root.log_key = root.witnesses[0]; }), "of the other kind"));
  CHECK(holds(with([](LogRoot& root) { root.log_key = "key"; }), "not an Ed25519 verifier key"));
  CHECK(holds(with([](LogRoot& root) { root.quorum = 2; }), "quorum"));
  CHECK(holds(with([](LogRoot& root) { root.expires = "tomorrow"; }), "no RFC 3339 time"));
  CHECK(holds(with([](LogRoot& root) { root.max_age = 0; }), "max_age"));
  CHECK(holds(with([](LogRoot& root) {
                for (int i = 0; i < 16; ++i) root.keys.push_back(Key().verifier());
              }),
              "at most 16 are taken"));
  std::string text = good.to_text();
  CHECK(holds(test::error_of([&] { LogRoot::parse(text + " ", "root"); }), "corrupt: "));
  text.replace(text.find("\"schema_version\":1"), 18, "\"schema_version\":2");
  CHECK(holds(test::error_of([&] { LogRoot::parse(text, "root"); }), "unsupported_version: "));
}

TEST_CASE("root: a log names its first key once, before all others, and a key it is") {
  const Key log;
  const auto said = [](const std::vector<std::string>& keys) {
    return test::error_of([&] {
      LogFacts facts;
      for (std::size_t i = 0; i < keys.size(); ++i) {
        LogEntry entry;
        entry.kind = LogKind::key;
        entry.action = "log_key";
        entry.key = keys[i];
        facts.add(i, entry);
      }
    });
  };
  CHECK(said({log.verifier()}) == "no error");
  CHECK(holds(said({"no key"}), "corrupt: entry 0: the log's root: not an Ed25519 verifier key"));
  CHECK(holds(said({log.verifier(), log.verifier()}), "untrusted: entry 1: "));
}

TEST_CASE("root: two keys whose texts end alike are two") {
  LogRoot root = LogRoot::first(Key().verifier());
  while (root.keys.size() < 3) {
    const std::string key = Key().verifier();
    if (key.ends_with('+')) root.keys.push_back(key);
  }
  CHECK(LogRoot::parse(root.to_text(), "root") == root);
}

TEST_CASE("root: what is asked for less is said") {
  LogRoot former = LogRoot::first(Key().verifier());
  former.threshold = 2;
  former.quorum = 2;
  former.max_age = 86400;
  former.expires = "2030-01-01T00:00:00Z";
  CHECK(lowered(former, former).empty());
  LogRoot next = former;
  next.threshold = 1;
  next.quorum = 1;
  next.max_age.reset();
  next.expires.clear();
  CHECK(lowered(former, next).size() == 4);
  CHECK(lowered(next, former).empty());
  next = former;
  next.max_age = 2 * 86400;
  REQUIRE(lowered(former, next).size() == 1);
  CHECK(holds(lowered(former, next).front(), "2 days, it was 24 hours"));
  next = former;
  next.quorum = 1;
  REQUIRE(lowered(former, next).size() == 1);
  CHECK(holds(lowered(former, next).front(), "witnesses must have cosigned"));
}

TEST_CASE("root: a share that falls and a later end are less, keys that come and go are named") {
  const Key log, a("a.example"), b("b.example"), c("c.example"), w("w.example"), v("v.example");
  LogRoot former = LogRoot::first(log.verifier());
  former.keys = {a.verifier(), b.verifier()};
  former.threshold = 2;
  former.witnesses = {w.verifier(NoteKeyType::cosigner)};
  former.quorum = 1;
  former.expires = "2030-01-01T00:00:00Z";
  LogRoot next = former;
  next.keys.push_back(c.verifier());
  REQUIRE(lowered(former, next).size() == 1);
  CHECK(lowered(former, next).front() == "2 of 3 keys sign the next root, 2 of 2 keys did");
  CHECK(lowered(next, former).empty());
  CHECK(exchanged(former, next) ==
        std::vector{"may sign the next root from now on: " + c.verifier()});
  CHECK(exchanged(next, former) == std::vector{"no longer signs the next root: " + c.verifier()});
  next = former;
  next.witnesses.push_back(v.verifier(NoteKeyType::cosigner));
  REQUIRE(lowered(former, next).size() == 1);
  CHECK(lowered(former, next).front() ==
        "1 of 2 witnesses must have cosigned, 1 of 1 witness had to");
  next.witnesses.erase(next.witnesses.begin());
  CHECK(lowered(former, next).empty());
  CHECK(exchanged(former, next) ==
        std::vector{"is no longer one of its witnesses: " + w.verifier(NoteKeyType::cosigner),
                    "is one of its witnesses from now on: " + v.verifier(NoteKeyType::cosigner)});
  next = former;
  next.expires = "2031-01-01T00:00:00Z";
  REQUIRE(lowered(former, next).size() == 1);
  CHECK(holds(lowered(former, next).front(), "counts until 2031-01-01T00:00:00Z, it was 2030"));
  // A new key has its own end; and in the place of the log's key comes its successor.
  next.log_key = Key().verifier();
  CHECK(lowered(former, next).empty());
  LogRoot alone = LogRoot::first(log.verifier()), rotated = alone;
  rotated.log_key = next.log_key;
  rotated.keys = {next.log_key};
  CHECK(exchanged(alone, rotated).empty());
  // Two of three are not less than one alone.
  rotated.keys = next.keys = {a.verifier(), b.verifier(), c.verifier()};
  rotated.threshold = 2;
  CHECK(lowered(alone, rotated).empty());
}
