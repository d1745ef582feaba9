// SPDX-License-Identifier: Apache-2.0
#include "format/organ/organ_source.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>

#include "format/base/file.h"
#include "format/checkpoint/checkpoint.h"
#include "format/organ/extraction.h"
#include "tests/support/support.h"
#include "tests/support/tiny_organ.h"

namespace organ::format {
using test::scratch;
using test::write_tiny_organ;

TEST_CASE("an organ that was written is read back and its contents verify") {
  const TempFolder folder = scratch();
  const OrganFolder organ = OrganFolder::open(write_tiny_organ(folder.path() / "organ", 2));
  CHECK(organ.manifest().name == "acme/tiny");
  CHECK(organ.manifest().files.size() == 3);
  CHECK(organ.extra_files().empty());
  CHECK(organ.signature_bundles().empty());
  CHECK(verify_contents(organ).empty());
  ContentOptions all;
  all.flat_digests = true;
  CHECK(verify_contents(organ, all).empty());
}

}  // namespace organ::format
