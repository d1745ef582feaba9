// SPDX-License-Identifier: Apache-2.0
#include "train/data/span_draw.h"

#include <string>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/checkpoint/checkpoint.h"
#include "train/tokenizer/tokenizer.h"

namespace organ::train {
namespace {

std::int32_t read_id(const JsonObject& config, std::string_view key, std::int32_t fallback,
                     std::uint64_t vocab_size) {
  if (!config.has(key) || config.is_null(key)) return fallback;
  const Json& value = config.at(key);
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() >= vocab_size) {
    config.fail_field(key, fmt::format("expected an id below {}", vocab_size));
  }
  return value.get<std::int32_t>();
}

}  // namespace

std::int32_t decoder_start_id(const Json& config, std::uint64_t vocab_size) {
  const JsonObject fields(config, std::string(format::kConfigFile));
  return read_id(fields, "decoder_start_token_id", read_id(fields, "pad_token_id", 0, vocab_size),
                 vocab_size);
}

SpanDraw read_span_draw(const Json& config, const Tokenizer& tokenizer, std::uint64_t vocab_size,
                        std::int64_t context, std::uint64_t seed) {
  const JsonObject fields(config, std::string(format::kConfigFile));
  SpanDraw draw;
  draw.seed = seed;
  draw.end = read_id(fields, "eos_token_id", 1, vocab_size);
  draw.start = decoder_start_id(config, vocab_size);
  const std::size_t needed = span_lengths(static_cast<std::size_t>(context)).spans;
  while (draw.sentinels.size() < needed) {
    const auto id = tokenizer.token_to_id(fmt::format("<extra_id_{}>", draw.sentinels.size()));
    if (!id || static_cast<std::uint64_t>(*id) >= vocab_size) {
      throw Error(ErrorCode::incompatible,
                  fmt::format("tokenizer: has {} sentinels <extra_id_0> … within the model's "
                              "vocabulary of {}, windows of {} need {}",
                              draw.sentinels.size(), vocab_size, counted(context, "token"), needed),
                  "a smaller --context needs fewer");
    }
    draw.sentinels.push_back(*id);
  }
  return draw;
}

}  // namespace organ::train
