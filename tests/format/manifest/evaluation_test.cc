// SPDX-License-Identifier: Apache-2.0
#include "format/manifest/evaluation.h"

#include <doctest/doctest.h>

namespace organ::format {

using LeadIn = std::vector<std::uint64_t>;

TEST_CASE("a label holds what decides a figure") {
  EvaluationConditions conditions{.precision = "bf16", .device = "cuda", .lead_in = LeadIn{}};
  CHECK(label_text(conditions) == "lead=none,bf16,cuda");
  conditions.lead_in = LeadIn{1};
  conditions.chose_weights = true;
  CHECK(label_text(conditions) == "lead=1,bf16,cuda,chose-weights");
  conditions.lead_in = LeadIn{64790, 64792};
  CHECK(lead_in_text(conditions.lead_in) == "64790+64792");
  conditions.lead_in = std::nullopt;
  CHECK(label_text(conditions) == "lead=as-is,bf16,cuda,chose-weights");
  conditions.reading = EvaluationReading();
  conditions.reading->padding_id = 0;
  CHECK(label_text(conditions) == "lead=as-is,docs=as-is,pad=0,bf16,cuda,chose-weights");
  conditions.reading = EvaluationReading{.document_split = "blank-lines",
                                         .padding_id = std::nullopt,
                                         .draw_seed = 7,
                                         .first_windows = 8};
  conditions.lead_in = LeadIn{};
  CHECK(label_text(conditions) ==
        "lead=none,docs=blank-lines,seed=7,windows=8,bf16,cuda,chose-weights");
}

}  // namespace organ::format
