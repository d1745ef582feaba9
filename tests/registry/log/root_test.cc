// SPDX-License-Identifier: Apache-2.0
#include "registry/log/root.h"

#include <doctest/doctest.h>

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
  CHECK(holds(refusal(two, signed_by(three, {&a, &a, &a})), "signed by 1 keys of root 2"));
  CHECK(holds(refusal(two, signed_by(three, {&a, &stranger})), "signed by 1 keys of root 2"));
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
  CHECK(holds(refusal(first, log.signer.sign({kOrigin, 7, sha256("root")})), "untrusted: "));
  SignedNote other{.text = root_note_text(root, "organ-registry/other"), .signatures = {}};
  other.signatures.push_back(log.signer.sign(log.name, other.text));
  CHECK(holds(refusal(first, other.to_string()), "begins with 'organ-registry/other/root'"));
  LogRoot renamed = root;
  renamed.log_key = Key("other.example").verifier();
  CHECK(holds(refusal(first, signed_by(renamed, {&log})), "another name than the log"));
}

TEST_CASE("root: what no root is") {
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
}
