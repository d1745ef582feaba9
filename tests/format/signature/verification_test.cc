// SPDX-License-Identifier: Apache-2.0
// Every single-bit flip of every file of a signed organ folder must be refused.
#include "format/signature/verification.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "format/base/file.h"
#include "format/organ/finite_check.h"
#include "tests/support/support.h"
#include "tests/support/tiny_organ.h"

namespace organ::format {
namespace fs = std::filesystem;
using test::error_of;
using test::scratch;

namespace {

struct SignedOrgan {
  TempFolder scratch_folder = scratch();
  SecretKey key = SecretKey::generate(Curve::p256);
  fs::path folder = test::write_tiny_organ(scratch_folder.path() / "organ", 1, true);
  VerifyOptions options;

  SignedOrgan() {
    sign_folder(OrganFolder::open(folder), key);
    options.keys = {key.public_key()};
  }
};

// Exit code of the worst finding, as `verify` reports it; 0 when all is well.
int exit_of(const Verification& verification) {
  int worst = 0;
  for (const Finding& finding : verification.findings) {
    const int code = exit_code(finding.code);
    if (worst != 4) worst = code == 4 ? 4 : std::max(worst, code);
  }
  return worst;
}

void overwrite(const fs::path& path, std::string_view text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  REQUIRE(fd);
  REQUIRE(::pwrite(fd.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
}

bool mentions(const std::vector<Finding>& findings, std::string_view text) {
  return std::any_of(findings.begin(), findings.end(), [&](const Finding& finding) {
    return (finding.subject + ": " + finding.message).find(text) != std::string::npos;
  });
}

// With ORGAN_EVERY_BIT in the environment each bit is tried, for two minutes; without it one in
// seven, which is one of every byte, and each of a byte in turn.
std::size_t step_of_sweep() { return std::getenv("ORGAN_EVERY_BIT") == nullptr ? 7 : 1; }

// Flips bits of one file, one at a time; returns how many flips there were.
std::size_t sweep(const SignedOrgan& organ, const std::string& name) {
  const fs::path path = organ.folder / name;
  std::string bytes = read_file(path, 1 << 20);
  const std::size_t step = step_of_sweep();
  std::size_t accepted = 0, other_class = 0, untrusted = 0, flips = 0;
  for (std::size_t bit = 0; bit < bytes.size() * 8; bit += step, ++flips) {
    const char before = bytes[bit / 8];
    bytes[bit / 8] = static_cast<char>(before ^ 1 << (bit % 8));
    overwrite(path, bytes);
    const int code = exit_of(verify_organ_folder(organ.folder, organ.options));
    bytes[bit / 8] = before;
    if (code == 0) ++accepted;
    if (code == 5) ++untrusted;
    if (code != 4 && code != 5) ++other_class;
  }
  overwrite(path, bytes);
  CAPTURE(name);
  CHECK(accepted == 0);
  CHECK(other_class == 0);
  // Only where nothing but the signature can know: the manifest's free fields and model.sig.
  if (name != kManifestFile && name != kSignatureFile) CHECK(untrusted == 0);
  return flips;
}

}  // namespace

TEST_CASE("a signed organ verifies and names its signer") {
  const SignedOrgan organ;
  const Verification verification = verify_organ_folder(organ.folder, organ.options);
  CHECK(verification.findings.empty());
  REQUIRE(verification.signers.size() == 1);
  CHECK(verification.signers[0] == organ.key.public_key().id());
}

TEST_CASE("every flipped bit of every file of a signed organ is refused" *
          doctest::test_suite("sweep")) {
  const SignedOrgan organ;
  std::size_t flips = 0;
  for (const std::string& name : list_folder(organ.folder)) flips += sweep(organ, name);
  CHECK(flips > 80'000 / step_of_sweep());
  CHECK(verify_organ_folder(organ.folder, organ.options).findings.empty());
}

TEST_CASE("a flipped byte of a weight is named with file, tensor and place") {
  const SignedOrgan organ;
  const auto manifest = OrganFolder::open(organ.folder).manifest();
  const FileEntry& file = *manifest.find_file("layer.00.safetensors");
  std::string bytes = read_file(organ.folder / file.path, 1 << 20);
  bytes[file.data_start + file.tensors[1].offset] ^= 1;
  overwrite(organ.folder / file.path, bytes);
  const auto findings = verify_organ_folder(organ.folder, organ.options).findings;
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].code == ErrorCode::corrupt);
  CHECK(findings[0].subject == "layer.00.safetensors: tensor '" + file.tensors[1].name + "'");
  const auto first = file.data_start + file.tensors[1].offset;
  CHECK(findings[0].message.find("between bytes " + std::to_string(first) + " and " +
                                 std::to_string(first + file.tensors[1].size - 1)) !=
        std::string::npos);
}

TEST_CASE("an unsigned organ is untrusted, and its damage still found") {
  SignedOrgan organ;
  fs::remove(organ.folder / kSignatureFile);
  const Verification verification = verify_organ_folder(organ.folder, organ.options);
  CHECK(exit_of(verification) == 5);
  CHECK(mentions(verification.findings, "is not signed"));
  organ.options.require_signature = false;
  CHECK(verify_organ_folder(organ.folder, organ.options).findings.empty());
  overwrite(organ.folder / "README.md", "# Tony");
  CHECK(exit_of(verify_organ_folder(organ.folder, organ.options)) == 4);
}

// One file opens and cannot be read, as on a disk that fails.
class Unreadable final : public OrganSource {
 public:
  Unreadable(OrganFolder organ, std::string name)
      : organ_(std::move(organ)), name_(std::move(name)) {}

  const Manifest& manifest() const override { return organ_.manifest(); }
  const std::string& manifest_text() const override { return organ_.manifest_text(); }
  UniqueFd open(const FileEntry& file) const override {
    if (file.path != name_) return organ_.open(file);
    return UniqueFd(::open((organ_.folder() / file.path).c_str(), O_WRONLY | O_CLOEXEC));
  }
  std::vector<std::string> signature_bundles() const override { return organ_.signature_bundles(); }
  std::vector<std::string> extra_files() const override { return {}; }
  std::string describe() const override { return organ_.describe(); }

 private:
  OrganFolder organ_;
  std::string name_;
};

TEST_CASE("a file that cannot be read is a finding, and the others are looked at") {
  const SignedOrgan organ;
  overwrite(organ.folder / "README.md", "# Tony");
  for (const bool flat : {false, true}) {
    const Unreadable source(OrganFolder::open(organ.folder), "layer.00.safetensors");
    FiniteCheck finite;
    const std::vector<Finding> findings =
        verify_contents(source, {.flat_digests = flat}, {}, finite);
    REQUIRE(findings.size() == 2);
    CHECK(mentions(findings, "README.md: "));
    const auto unread = std::ranges::find(findings, "layer.00.safetensors", &Finding::subject);
    REQUIRE(unread != findings.end());
    CHECK(unread->code == ErrorCode::io);
    // What was read is what counts as read.
    const FileEntry& lacking = *source.manifest().find_file("layer.00.safetensors");
    CHECK(finite.read == verified_size(source.manifest()) - lacking.size);
  }
}

TEST_CASE("a signature that cannot be read is a finding, and damage is still found") {
  SignedOrgan organ;
  write_file(organ.folder / kSignatureFile, std::string(kSignatureLimit + 1, ' '),
             AtomicFile::Mode::replace);
  overwrite(organ.folder / "README.md", "# Tony");
  const Verification verification = verify_organ_folder(organ.folder, organ.options);
  CHECK(exit_of(verification) == 4);
  CHECK(mentions(verification.findings, std::string(kSignatureFile) + ": "));
  CHECK(mentions(verification.findings, "README.md"));
}

TEST_CASE("a signature of a key nobody trusts establishes nothing") {
  SignedOrgan organ;
  organ.options.keys = {SecretKey::generate(Curve::p256).public_key()};
  const Verification verification = verify_organ_folder(organ.folder, organ.options);
  CHECK(exit_of(verification) == 5);
  CHECK(verification.signers.empty());
  CHECK(mentions(verification.findings, "none of the 1 given"));
}

TEST_CASE("a signature of another organ is refused") {
  const SignedOrgan organ;
  const TempFolder folder = scratch();
  const fs::path other = test::write_tiny_organ(folder.path() / "organ", 2);
  sign_folder(OrganFolder::open(other), organ.key);
  fs::copy_file(other / kSignatureFile, organ.folder / kSignatureFile,
                fs::copy_options::overwrite_existing);
  const Verification verification = verify_organ_folder(organ.folder, organ.options);
  CHECK(exit_of(verification) == 5);
  CHECK(mentions(verification.findings, "organ.json: has digest"));
  CHECK(mentions(verification.findings, "layer.01.safetensors: is signed but not part"));
}

TEST_CASE("what an interrupted signing left is named as in the way, and the next one removes it") {
  const SignedOrgan organ;
  const fs::path left = organ.folder / ".model.sig.0a1b2c3d4e.tmp";
  write_file(left, "half a signa");
  const Verification found = verify_organ_folder(organ.folder, organ.options);
  CHECK(exit_of(found) == 5);
  CHECK(mentions(found.findings, "a signing that was ended by force left it: remove it"));
  sign_folder(OrganFolder::open(organ.folder), organ.key, true);
  CHECK_FALSE(fs::exists(left));
  CHECK(verify_organ_folder(organ.folder, organ.options).findings.empty());
  // Nothing of another name is let through, or removed.
  for (const char* name :
       {".model.sig.tmp", ".model.sig..tmp", ".model.sig.A.tmp", "model.sig.a.tmp",
        ".model.sig.evil0.tmp", ".model.sig.0a1b2c3d4ef.tmp", ".model.sig.0a1b2c3d4e.tmp.txt",
        ".model.sig.0a1b2c3d_e.tmp", ".organ.json.0a1b2c3d4e.tmp"}) {
    CAPTURE(name);
    write_file(organ.folder / name, "x");
    CHECK(exit_of(verify_organ_folder(organ.folder, organ.options)) == 5);
    CHECK(error_of([&] {
            sign_folder(OrganFolder::open(organ.folder), organ.key, true);
          }).find("would stay unsigned") != std::string::npos);
    CHECK(fs::remove(organ.folder / name));
  }
}

TEST_CASE("extra, missing and replaced files are findings, and so are symlinks and folders") {
  const SignedOrgan organ;
  write_file(organ.folder / "notes.txt", "x");
  CHECK(exit_of(verify_organ_folder(organ.folder, organ.options)) == 5);
  CHECK(error_of([&] {
          sign_folder(OrganFolder::open(organ.folder), organ.key, true);
        }).find("would stay unsigned") != std::string::npos);
  fs::remove(organ.folder / "notes.txt");

  fs::create_directory(organ.folder / ".git");
  CHECK(verify_organ_folder(organ.folder, organ.options).findings.empty());

  fs::create_directory(organ.folder / "sub");
  const auto one = verify_organ_folder(organ.folder, organ.options).findings;
  REQUIRE(one.size() == 1);
  CHECK(one.front().code == ErrorCode::corrupt);
  CHECK(one.front().subject == "sub");
  CHECK(one.front().message == "is a folder, expected a regular file: no part of an organ");
  CHECK(error_of([&] { OrganFolder::open(organ.folder); }).find("entry 'sub' is a folder") !=
        std::string::npos);
  // What is known of the files, signed ones and damaged ones, is said all the same.
  const std::string readme = read_file(organ.folder / "README.md", 1 << 20);
  overwrite(organ.folder / "README.md", "# Tony");
  const Verification both = verify_organ_folder(organ.folder, organ.options);
  CHECK(both.findings.size() == 2);
  CHECK(mentions(both.findings, "README.md: "));
  CHECK(both.signers.size() == 1);
  overwrite(organ.folder / "README.md", readme);
  fs::remove(organ.folder / "sub");

  fs::rename(organ.folder / "README.md", organ.scratch_folder.path() / "README.md");
  CHECK(exit_of(verify_organ_folder(organ.folder, organ.options)) == 6);
  fs::create_symlink(organ.scratch_folder.path() / "README.md", organ.folder / "README.md");
  const auto linked = verify_organ_folder(organ.folder, organ.options).findings;
  CHECK(linked.size() == 1);  // once, though it is both a file of the organ and no file
  CHECK(mentions(linked, "README.md: "));
  CHECK(linked.front().code == ErrorCode::corrupt);
}

TEST_CASE("a signature that is no file is not a missing one") {
  const SignedOrgan organ;
  fs::remove(organ.folder / kSignatureFile);
  fs::create_directory(organ.folder / kSignatureFile);
  const Verification found = verify_organ_folder(organ.folder, organ.options);
  CHECK(exit_of(found) == 4);
  CHECK(mentions(found.findings, "model.sig: "));
  CHECK_FALSE(mentions(found.findings, "is not signed"));
}

TEST_CASE("a truncated or longer file is named with its sizes") {
  const SignedOrgan organ;
  const fs::path path = organ.folder / "layer.00.safetensors";
  const auto size = fs::file_size(path);
  for (const auto wrong : {std::uintmax_t{0}, std::uintmax_t{100}, size - 1, size + 1}) {
    CAPTURE(wrong);
    fs::resize_file(path, wrong);
    const auto verification = verify_organ_folder(organ.folder, organ.options);
    CHECK(exit_of(verification) == 4);
    CHECK(mentions(verification.findings, "has " + std::to_string(wrong) + " bytes, expected"));
  }
}

}  // namespace organ::format
