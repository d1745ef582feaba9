// SPDX-License-Identifier: Apache-2.0
#include "format/organ/extraction.h"

#include <doctest/doctest.h>

#include <string>

#include <nlohmann/json.hpp>

#include "format/base/json.h"
#include "format/checkpoint/checkpoint.h"
#include "tests/support/checkpoint_maker.h"
#include "tests/support/support.h"

namespace organ::format {
using test::error_of;
using test::scratch;

TEST_CASE("whether organ.json stays readable is asked before the work") {
  const TempFolder folder = scratch();
  Json config = test::small_config();
  config.update({{"hidden_size", 4},
                 {"intermediate_size", 4},
                 {"num_attention_heads", 1},
                 {"num_key_value_heads", 1},
                 {"head_dim", 4},
                 {"num_hidden_layers", 4096}});
  test::make_checkpoint(folder.path() / "model", config);
  const auto donor = Checkpoint::open(folder.path() / "model");
  const auto refusal = [&](std::uint64_t count, OrganKind kind) {
    return error_of([&] { require_manifest_fits(donor, {0, count}, kind); });
  };
  for (const OrganKind kind : {OrganKind::extracted, OrganKind::trained}) {
    const std::string error = refusal(4096, kind);
    CAPTURE(error);
    CHECK(error.starts_with("incompatible: "));
    CHECK(error.find("organ.json of 4096 layers would have ") != error.npos);
    CHECK(refusal(512, kind) == "no error");
  }
  // What training changed is said of each tensor.
  const std::string error = refusal(4096, OrganKind::extracted);
  const std::uint64_t size = std::stoull(error.substr(error.find("have ") + 5));
  const std::uint64_t most = 4096 * kManifestLimit / size;
  CHECK(refusal(most * 9 / 10, OrganKind::extracted) == "no error");
  CHECK(refusal(most * 9 / 10, OrganKind::trained).starts_with("incompatible: "));
}

}  // namespace organ::format
