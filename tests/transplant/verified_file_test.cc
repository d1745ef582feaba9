// SPDX-License-Identifier: Apache-2.0
#include "transplant/internal/verified_file.h"

#include <filesystem>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "format/base/file.h"
#include "tests/support/support.h"
#include "tests/support/tiny_organ.h"

using namespace organ;
using namespace organ::transplant;

TEST_CASE("a byte that changed after the organ was opened is never given away") {
  const TempFolder scratch = test::scratch();
  const auto organ = format::OrganFolder::open(test::write_tiny_organ(scratch.path() / "organ"));
  const format::FileEntry* entry = organ.manifest().find_file("layer.00.safetensors");
  REQUIRE(entry != nullptr);
  const auto path = organ.folder() / entry->path;
  const std::string sound = read_file(path, entry->size);
  std::vector<std::byte> first(1);
  VerifiedFile(organ, *entry).read(0, first);
  for (const std::size_t at : {std::size_t{0}, sound.size() / 2, sound.size() - 1}) {
    CAPTURE(at);
    std::string changed = sound;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    write_file(path, changed, AtomicFile::Mode::replace);
    const std::string refusal = test::error_of([&] { VerifiedFile(organ, *entry).read(0, first); });
    CHECK(refusal.starts_with("corrupt: "));
    CHECK(refusal.find("layer.00.safetensors") != std::string::npos);
  }
}
