// SPDX-License-Identifier: Apache-2.0
#include "format/organ/internal/finite_scan.h"

#include <doctest/doctest.h>

#include <algorithm>

#include <fmt/core.h>

#include "format/checkpoint/checkpoint.h"
#include "format/organ/extraction.h"
#include "format/organ/finite_check.h"
#include "format/organ/organ_source.h"
#include "format/organ/organ_writer.h"
#include "tests/support/damage.h"
#include "tests/support/support.h"
#include "tests/support/tiny_organ.h"

namespace organ::format {
namespace {

using test::error_of;
using test::poke_bf16;

// An organ of a donor whose layer 0 has two numbers that are none.
OrganFolder poisoned_organ(const std::filesystem::path& folder, std::vector<Finding>& written) {
  const auto model = folder / "model";
  test::write_tiny_checkpoint(model);
  poke_bf16(model / kSingleShard, "model.layers.0.mlp.down_proj.weight", std::uint64_t{12} + 7,
            test::kNanBf16);
  poke_bf16(model / kSingleShard, "model.layers.0.mlp.down_proj.weight", std::uint64_t{12} * 6,
            test::kNanBf16);
  poke_bf16(model / kSingleShard, "model.layers.0.input_layernorm.weight", 2, test::kInfinityBf16);
  const Checkpoint donor = Checkpoint::open(model);
  OrganWriter writer(folder / "organ");
  writer.add_tensors(Manifest::layer_file_name(0), FileRole::layer, layer_sources(donor, 0), {});
  written = writer.not_finite();
  writer.add_card("# x\n");
  writer.commit(test::tiny_manifest(model, 1));
  return OrganFolder::open(folder / "organ");
}

void check_named(std::vector<Finding> found) {
  std::ranges::sort(found, {}, &Finding::subject);
  REQUIRE(found.size() == 2);
  CHECK(found[0].subject == "layer.00.safetensors: tensor 'input_layernorm.weight'");
  CHECK(found[0].message == "NaN or infinity at [2]");
  CHECK(found[1].subject == "layer.00.safetensors: tensor 'mlp.down_proj.weight'");
  CHECK(found[1].message == "NaN or infinity at [1, 7]");
  CHECK(found[1].code == ErrorCode::corrupt);
}

}  // namespace

TEST_CASE("numbers that are not finite are named while an organ is written and while it is read") {
  const TempFolder folder = test::scratch();
  std::vector<Finding> written;
  const OrganFolder organ = poisoned_organ(folder.path(), written);
  check_named(written);
  FiniteCheck check;
  CHECK(verify_contents(organ, {}, {}, check).empty());
  check_named(check.found);
  CHECK_NOTHROW(require_finite(check, "x"));
  check.required = true;
  const std::string error = error_of([&] { require_finite(check, "x"); });
  CHECK(error.starts_with("corrupt: 'x': layer.00.safetensors: tensor "));
  CHECK(error.find("(and 1 more tensor)") != std::string::npos);
}

TEST_CASE("a sound organ has none") {
  const TempFolder folder = test::scratch();
  FiniteCheck check{.required = true, .found = {}};
  CHECK(verify_contents(OrganFolder::open(test::write_tiny_organ(folder.path() / "organ", 2)), {},
                        {}, check)
            .empty());
  CHECK(check.found.empty());
  CHECK_NOTHROW(require_finite(check, "x"));
}

// A file whose data begins at an odd byte, cut into pieces of `piece` bytes.
TEST_CASE("elements across the ends of pieces are looked at too") {
  const TempFolder folder = test::scratch();
  const auto path = folder.path() / "odd";
  constexpr std::uint64_t kCount = 3'000'000;
  FileEntry entry;
  entry.path = "odd";
  entry.data_start = 3;
  entry.tensors = {{"a", DType::F32, {kCount}, 0, 4 * kCount},
                   {"b", DType::F32, {1}, 4 * kCount, 4}};
  entry.size = entry.data_start + 4 * kCount + 4;
  std::string text(entry.size, '\1');
  const std::uint64_t across =
      (kChunkSize - entry.data_start) / 4;  // begins before the piece's end
  for (std::uint64_t i = 0; i < 4; ++i) text[entry.data_start + 4 * across + i] = '\x7F';
  text[entry.data_start + 4 * across + 2] = '\xFF';
  write_file(path, text);
  const UniqueFd fd = open_regular(path);
  internal::FiniteScan scan;
  scan.add_pieces(entry, fd.get());
  std::vector<HashRange> ranges;
  for (std::uint64_t at = 0; at < entry.size; at += kChunkSize) {
    ranges.push_back({fd.get(), at, std::min(kChunkSize, entry.size - at)});
  }
  hash_seen(ranges, "odd", {}, scan.seen());
  std::vector<Finding> found;
  scan.finish(found);
  REQUIRE(found.size() == 1);
  CHECK(found[0].message == fmt::format("NaN or infinity at [{}]", across));
}

}  // namespace organ::format
