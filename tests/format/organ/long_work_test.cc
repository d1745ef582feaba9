// SPDX-License-Identifier: Apache-2.0
// Writing, verifying and signing an organ as long work.
#include <doctest/doctest.h>

#include "format/signature/signing.h"
#include "format/signature/verification.h"
#include "tests/support/support.h"
#include "tests/support/tiny_organ.h"
#include "tests/support/watcher.h"

using namespace organ;
using namespace organ::format;
using test::Watcher;
namespace fs = std::filesystem;

TEST_CASE("long work: verification tells every byte once, whatever digests it computes") {
  const TempFolder folder = test::scratch();
  const auto organ = OrganFolder::open(test::write_tiny_organ(folder.path() / "organ", 2));
  for (const bool flat : {false, true}) {
    Watcher watcher;
    CHECK(verify_contents(organ, {.flat_digests = flat}, Work(&watcher)).empty());
    CHECK(watcher.names() == std::vector<std::string>{"verifying"});
    test::check_phases(watcher);
  }
  std::uint64_t bytes = 0;
  for (const FileEntry& file : organ.manifest().files) bytes += file.size;
  CHECK(verified_size(organ.manifest()) == bytes);
}

TEST_CASE("long work: what is damaged is no more than was announced") {
  const TempFolder folder = test::scratch();
  const fs::path path = test::write_tiny_organ(folder.path() / "organ", 2);
  std::string text = read_file(path / "layer.00.safetensors", 1 << 20);
  text.back() ^= 1;
  write_file(path / "layer.00.safetensors", text);
  Watcher watcher;
  CHECK(verify_contents(OrganFolder::open(path), {.flat_digests = true}, Work(&watcher)).size() ==
        1);
  CHECK_FALSE(watcher.phases().at(0).beyond);
}

TEST_CASE("long work: to be ended is no finding") {
  const TempFolder folder = test::scratch();
  const auto organ = OrganFolder::open(test::write_tiny_organ(folder.path() / "organ", 12));
  const auto steps = test::end_at_every_step(folder.path(), [&](const Work& work) {
    const auto result = verify_organ(
        organ, {.keys = {}, .require_signature = false, .contents = {.flat_digests = true}}, work);
    CHECK(result.findings.empty());
  });
  CHECK(steps > 10);
}

TEST_CASE("long work: signing that is ended at any step writes no signature") {
  const TempFolder folder = test::scratch();
  const auto organ = OrganFolder::open(test::write_tiny_organ(folder.path() / "organ", 6));
  const SecretKey key = SecretKey::generate(Curve::p256);
  const auto steps = test::end_at_every_step(
      folder.path(), [&](const Work& work) { sign_folder(organ, key, false, work); });
  CHECK(steps > 5);
  CHECK(fs::exists(organ.folder() / kSignatureFile));
}
