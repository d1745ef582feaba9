// SPDX-License-Identifier: Apache-2.0
// Input: adapter_config.json.
#include <cmath>

#include "tests/fuzz/target.h"
#include "train/adapter/peft_config.h"

namespace organ::train {
namespace {

using fuzz::demand;

constexpr std::string_view kModules[] = {"model.layers.0.self_attn.q_proj", "q_proj",
                                         "transformer.h.11.mlp.c_fc", "lm_head", ""};

void check_equal(const PeftConfig& a, const PeftConfig& b) {
  demand(a.text == b.text, "its text is a fixed point");
  demand(a.kind == b.kind && a.rank == b.rank && a.alpha == b.alpha && a.layers == b.layers &&
             a.rank_stabilised == b.rank_stabilised && a.parameters == b.parameters,
         "a configuration is read again as it was written");
  demand(a.bottleneck_size == b.bottleneck_size && a.placement == b.placement &&
             a.virtual_tokens == b.virtual_tokens && a.token_dim == b.token_dim &&
             a.attention_heads == b.attention_heads && a.layer_count == b.layer_count &&
             a.start_at_zero == b.start_at_zero,
         "so are the sizes of the other kinds");
}

void check_modules(const PeftConfig& config, const PeftConfig& again) {
  for (const std::string_view module : kModules) {
    // A regular expression gives up; several patterns name a module.
    fuzz::expect({ErrorCode::incompatible, ErrorCode::invalid_argument}, [&] {
      demand(config.targets.matches(module) == again.targets.matches(module) &&
                 config.excluded.matches(module) == again.excluded.matches(module) &&
                 config.feed_forward.matches(module) == again.feed_forward.matches(module),
             "the same modules are named");
      if (config.kind != AdapterKind::lora) return;
      demand(config.rank_of(module) >= 1, "a rank is one or more");
      demand(config.rank_of(module) == again.rank_of(module), "the same ranks");
      demand(std::isfinite(config.scale_of(module)), "a scale is finite");
    });
  }
}

void run(std::string_view text) {
  fuzz::expect({ErrorCode::corrupt, ErrorCode::incompatible}, [&] {
    const PeftConfig config = parse_peft_config(text, "adapter_config.json");
    demand(config.kind != AdapterKind::lora || config.rank >= 1, "a rank is one or more");
    const PeftConfig again = parse_peft_config(config.text, "again");
    check_equal(config, again);
    check_modules(config, again);
  });
}

}  // namespace
}  // namespace organ::train

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  organ::train::run(organ::fuzz::text_of(data, size));
  return 0;
}
