// SPDX-License-Identifier: Apache-2.0
#include "registry/log/note.h"

#include <doctest/doctest.h>

#include "format/base/file.h"
#include "tests/support/support.h"

using namespace organ;
using namespace organ::registry;

namespace {
const Checkpoint kCheckpoint{"", 7, sha256("root")};

Checkpoint named(const NoteVerifier& verifier) {
  Checkpoint checkpoint = kCheckpoint;
  checkpoint.origin = verifier.name();
  return checkpoint;
}
}  // namespace

TEST_CASE("note: the example key of the C2SP signed note specification parses") {
  const auto verifier = NoteVerifier::parse(
      "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "key");
  CHECK(verifier.name() == "PeterNeumann");
  CHECK(test::error_of([] {
          NoteVerifier::parse("PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                              "key");
        }).find("expected c74f20a3") != std::string::npos);
}

TEST_CASE("note: what a signer writes, its verifier reads") {
  const NoteSigner signer = NoteSigner::generate();
  const auto verifier = NoteVerifier::parse(signer.verifier_key("organ-registry/"), "key");
  const Checkpoint checkpoint = named(verifier);
  const std::string note = signer.sign(checkpoint);
  CHECK(verifier.open(note, "checkpoint") == checkpoint);
  CHECK(note.starts_with(checkpoint.origin + "\n7\n"));
}

TEST_CASE("note: what is pending is no checkpoint, and the other way round") {
  const NoteSigner signer = NoteSigner::generate();
  const auto verifier = NoteVerifier::parse(signer.verifier_key("organ-registry/"), "key");
  const Checkpoint checkpoint = named(verifier);
  const std::string pending = signer.sign(checkpoint, NoteKind::pending);
  CHECK(verifier.open(pending, "pending", NoteKind::pending) == checkpoint);
  CHECK(test::error_of([&] { verifier.open(pending, "note"); }).starts_with("untrusted: "));
  CHECK(test::error_of([&] {
          verifier.open(signer.sign(checkpoint), "note", NoteKind::pending);
        }).starts_with("untrusted: "));
}

TEST_CASE("note: every changed byte and every truncation is refused") {
  const NoteSigner signer = NoteSigner::generate();
  const auto verifier = NoteVerifier::parse(signer.verifier_key("organ-registry/"), "key");
  const std::string note = signer.sign(named(verifier));
  for (std::size_t i = 0; i < note.size(); ++i) {
    std::string changed = note;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    REQUIRE(test::error_of([&] { verifier.open(changed, "note"); }) != "no error");
    REQUIRE(test::error_of([&] { verifier.open(note.substr(0, i), "note"); }) != "no error");
  }
}

TEST_CASE("note: another key's signature is not ours") {
  const NoteSigner ours = NoteSigner::generate(), theirs = NoteSigner::generate();
  const auto verifier = NoteVerifier::parse(ours.verifier_key("organ-registry/"), "key");
  const std::string note = theirs.sign(named(verifier));
  CHECK(test::error_of([&] { verifier.open(note, "note"); }) ==
        "untrusted: note: no signature of the registry's key " + verifier.name());
  // A line of an unknown key beside ours is ignored, as the specification demands.
  const std::string line = note.substr(note.find("\n\n") + 2);
  CHECK(verifier.open(ours.sign(named(verifier)) + line, "note").size == 7);
}

TEST_CASE("note: a key file others can read is refused") {
  const TempFolder folder = test::scratch();
  const auto path = folder.path() / "log.key";
  NoteSigner::generate().save(path);
  CHECK_NOTHROW(NoteSigner::load(path));
  std::filesystem::permissions(path, std::filesystem::perms::group_read,
                               std::filesystem::perm_options::add);
  CHECK(test::error_of([&] { NoteSigner::load(path); }).find("expected 0600") != std::string::npos);
}
