// SPDX-License-Identifier: Apache-2.0
#include "transplant/extract.h"

#include <doctest/doctest.h>

#include "format/base/file.h"
#include "format/organ/organ_source.h"
#include "tests/support/checkpoint_maker.h"
#include "tests/support/support.h"

using namespace organ;
using namespace organ::transplant;

TEST_CASE("an extracted organ holds the donor's bytes under names relative to the layer") {
  const TempFolder folder = test::scratch();
  test::make_checkpoint(folder.path() / "donor", test::small_config(),
                        {.shards = 2, .dtype = format::DType::BF16});
  const auto donor = format::Checkpoint::open(folder.path() / "donor");
  const auto manifest = extract_organ(
      donor, {1, 2}, folder.path() / "cut",
      {.name = "team/legal", .version = "1.2.0", .license = "MIT", .donor_id = "a|b"});
  const auto organ = format::OrganFolder::open(folder.path() / "cut");
  CHECK(format::verify_contents(organ, {.flat_digests = true}).empty());
  CHECK(manifest.extraction.first_layer == 1);
  for (std::uint64_t i = 0; i < 2; ++i) {
    const auto file =
        format::SafetensorsFile::open(folder.path() / "cut" / format::Manifest::layer_file_name(i));
    const auto layer = donor.layer(1 + i);
    CHECK(file.header().tensors.size() == layer.size());
    for (const auto& [name, location] : layer) {
      CHECK(file.tensor(name).dtype == format::DType::BF16);
      CHECK(file.read(file.tensor(name)) == donor.read(location));
    }
  }
  const std::string card = read_file(folder.path() / "cut" / "README.md", 1 << 16);
  CHECK(card.starts_with("---\n"));
  CHECK(card.find("\n---\n\n# team/legal 1.2.0\n") != std::string::npos);
  CHECK(card.find("| donor | a\\|b |") != std::string::npos);
  CHECK(card.find("Nothing was measured.") != std::string::npos);
}

TEST_CASE("a bad name, a bad version or a taken folder leaves nothing behind") {
  const TempFolder folder = test::scratch();
  test::make_checkpoint(folder.path() / "donor", test::small_config());
  const auto donor = format::Checkpoint::open(folder.path() / "donor");
  const auto refusal = [&](const std::string& out, ExtractOptions options) {
    return test::error_of([&] { extract_organ(donor, {0, 1}, folder.path() / out, options); });
  };
  CHECK(refusal("cut", {.name = "../x", .donor_id = "d"}).starts_with("invalid_argument"));
  CHECK(refusal("cut", {.version = "one", .donor_id = "d"}).starts_with("invalid_argument"));
  CHECK(refusal("donor", {.donor_id = "d"}).starts_with("already_exists"));
  CHECK(list_folder(folder.path()) == std::vector<std::string>{"donor"});
}
