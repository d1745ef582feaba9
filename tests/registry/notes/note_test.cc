// SPDX-License-Identifier: Apache-2.0
#include "registry/notes/note.h"

#include <doctest/doctest.h>

#include "format/base/file.h"
#include "registry/notes/note_signer.h"
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
  const auto verifier =
      NoteVerifier::parse(signer.verifier_key(signer.name_below("organ-registry/")), "key");
  const Checkpoint checkpoint = named(verifier);
  const std::string note = sign_checkpoint({signer}, checkpoint);
  CHECK(verifier.open(note, "checkpoint") == checkpoint);
  CHECK(note.starts_with(checkpoint.origin + "\n7\n"));
}

TEST_CASE("note: what is pending is no checkpoint, and the other way round") {
  const NoteSigner signer = NoteSigner::generate();
  const auto verifier =
      NoteVerifier::parse(signer.verifier_key(signer.name_below("organ-registry/")), "key");
  const Checkpoint checkpoint = named(verifier);
  const std::string pending = sign_checkpoint({signer}, checkpoint, NoteKind::pending);
  CHECK(verifier.open(pending, "pending", NoteKind::pending) == checkpoint);
  CHECK(test::error_of([&] { verifier.open(pending, "note"); }).starts_with("untrusted: "));
  CHECK(test::error_of([&] {
          verifier.open(sign_checkpoint({signer}, checkpoint), "note", NoteKind::pending);
        }).starts_with("untrusted: "));
}

TEST_CASE("note: every changed byte and every truncation is refused") {
  const NoteSigner signer = NoteSigner::generate();
  const auto verifier =
      NoteVerifier::parse(signer.verifier_key(signer.name_below("organ-registry/")), "key");
  const std::string note = sign_checkpoint({signer}, named(verifier));
  for (std::size_t i = 0; i < note.size(); ++i) {
    std::string changed = note;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    REQUIRE(test::error_of([&] { verifier.open(changed, "note"); }) != "no error");
    REQUIRE(test::error_of([&] { verifier.open(note.substr(0, i), "note"); }) != "no error");
  }
}

TEST_CASE("note: another key's signature is not ours") {
  const NoteSigner ours = NoteSigner::generate(), theirs = NoteSigner::generate();
  const auto verifier =
      NoteVerifier::parse(ours.verifier_key(ours.name_below("organ-registry/")), "key");
  const std::string note = sign_checkpoint({theirs}, named(verifier));
  CHECK(test::error_of([&] { verifier.open(note, "note"); }) ==
        "untrusted: note: no signature of the registry's key " + verifier.name());
  // A line of an unknown key beside ours is ignored, as the specification demands.
  const std::string line = note.substr(note.find("\n\n") + 2);
  CHECK(verifier.open(sign_checkpoint({ours}, named(verifier)) + line, "note").size == 7);
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

TEST_CASE("note: the example of the C2SP signed note specification is verified") {
  const auto verifier = NoteVerifier::parse(
      "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "key");
  const std::string note =
      "This is an example message.\n\n\xE2\x80\x94 example.com/foo "
      "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
      "\n";
  const SignedNote parsed = SignedNote::parse(note, "note");
  CHECK(parsed.to_string() == note);
  CHECK(verifier.find(parsed, "note") == 0);
  CHECK(verifier.as(NoteKeyType::cosigner).find(parsed, "note") == std::nullopt);
}

TEST_CASE("note: a cosignature made by openssl with the first key of RFC 8032 is verified") {
  // The checkpoint and the time of the C2SP specification's example; the key is another one.
  const auto witness = NoteVerifier::parse(
      "witness.example.com/w1+7e6f4aaa+BNdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea", "key");
  const std::string text =
      "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
  const std::string line =
      "\xE2\x80\x94 witness.example.com/w1 fm9KqgAAAABkGFDL+TPmh4BYuAjsYRoqMJCWb/gWJaeRF/"
      "kmm5tlCr9sJ57DLErur7K0yDXc2ArN+TIuotuB/HbuL3AJsp3bv/aNCQ==\n";
  CHECK(witness.type() == NoteKeyType::cosigner);
  CHECK(witness.find(SignedNote::parse(text + "\n" + line, "note"), "note") == 1679315147);
  CHECK(checkpoint_text(parse_checkpoint(text, "note")) == text);
  // Every byte of the value counts, those of the time too.
  const SignedNote good = SignedNote::parse(text + "\n" + line, "note");
  for (std::size_t i = 0; i < good.signatures.front().value.size(); ++i) {
    SignedNote bad = good;
    char& changed = bad.signatures.front().value[i];
    changed = static_cast<char>(changed ^ 1);
    CHECK(test::error_of([&] { witness.find(bad, "note"); }) ==
          "untrusted: note: bad signature of the key witness.example.com/w1");
  }
  SignedNote cut = good;
  cut.signatures.front().value.pop_back();
  CHECK(test::error_of([&] { witness.find(cut, "note"); }).starts_with("untrusted: "));
}

TEST_CASE("note: a cosigner's signature is no log's, and the newest time counts") {
  const NoteSigner signer = NoteSigner::generate();
  const auto log = NoteVerifier::parse(signer.verifier_key("a.example"), "key");
  const auto witness =
      NoteVerifier::parse(signer.verifier_key("a.example", NoteKeyType::cosigner), "key");
  CHECK(witness.to_string() == log.as(NoteKeyType::cosigner).to_string());
  Checkpoint checkpoint = kCheckpoint;
  checkpoint.origin = "a.example";
  SignedNote note{.text = checkpoint_text(checkpoint), .signatures = {}};
  for (const std::uint64_t time : {5u, 7u, 6u}) {
    note.signatures.push_back(signer.cosign("a.example", note.text, time));
  }
  CHECK(witness.find(note, "note") == 7);
  CHECK(log.find(note, "note") == std::nullopt);
  CHECK(test::error_of([&] { log.open(note.to_string(), "note"); }).starts_with("untrusted: "));
  // Told to be of the other kind, it is a bad one.
  note.signatures.front().key_id = signer.sign("a.example", note.text).key_id;
  CHECK(test::error_of([&] { log.find(note, "note"); }).starts_with("untrusted: "));
}

TEST_CASE("note: the time of a checkpoint goes with it, and older readers see none") {
  const NoteSigner signer = NoteSigner::generate();
  const auto verifier =
      NoteVerifier::parse(signer.verifier_key(signer.name_below("organ-registry/")), "key");
  const Checkpoint checkpoint = named(verifier);
  const std::string note = sign_checkpoint({signer}, checkpoint, NoteKind::checkpoint, 1700000000);
  CHECK(verifier.open(note, "checkpoint") == checkpoint);
  const auto clock = verifier.as(NoteKeyType::cosigner);
  CHECK(clock.find(SignedNote::parse(note, "checkpoint"), "checkpoint") == 1700000000);
  CHECK(clock.find(SignedNote::parse(sign_checkpoint({signer}, checkpoint), "checkpoint"),
                   "checkpoint") == std::nullopt);
}

TEST_CASE("note: no more signature lines than the limit") {
  const NoteSigner signer = NoteSigner::generate();
  SignedNote note{.text = "text\n", .signatures = {}};
  note.signatures.resize(kMostNoteSignatures, signer.sign("a.example", note.text));
  CHECK_NOTHROW(SignedNote::parse(note.to_string(), "note"));
  note.signatures.push_back(note.signatures.front());
  CHECK(test::error_of([&] { SignedNote::parse(note.to_string(), "note"); }) ==
        "corrupt: note: malformed signature line 65");
}

TEST_CASE("note: an encrypted key opens with its passphrase alone") {
  const TempFolder folder = test::scratch();
  const auto path = folder.path() / "root.key";
  const NoteSigner signer = NoteSigner::generate();
  signer.save(path, "open sesame");
  const auto load = [&](const std::string& passphrase) {
    return NoteSigner::load(path, [&] { return passphrase; });
  };
  CHECK(load("open sesame").verifier_key("a.example") == signer.verifier_key("a.example"));
  const std::string wrong = test::error_of([&] { load("open"); });
  CHECK(wrong.starts_with("invalid_argument: "));
  CHECK(wrong.find("this passphrase does not open it") != std::string::npos);
  for (const std::string& none :
       {test::error_of([&] { NoteSigner::load(path); }), test::error_of([&] { load(""); })}) {
    CHECK(none.find("is encrypted and no passphrase is given") != std::string::npos);
  }
  CHECK(test::error_of([&] {
          NoteSigner::load(path, []() -> std::string { throw Error(ErrorCode::io, "nobody"); });
        }) == "io: nobody");
  CHECK(test::error_of([&] { signer.save(path); }).starts_with("already_exists: "));
}
