// SPDX-License-Identifier: Apache-2.0
#include "train/data/span_denoising.h"

#include <algorithm>
#include <cmath>
#include <string>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "format/base/error.h"
#include "format/base/json.h"
#include "format/base/random.h"
#include "format/checkpoint/checkpoint.h"
#include "train/data/dataset.h"
#include "train/tokenizer/tokenizer.h"

namespace organ::train {
namespace {

constexpr double kDroppedShare = 0.15, kMeanSpan = 3;

struct Span {
  std::size_t begin, end;  // tokens of the text
};

// `items` in `parts` runs of one or more, every division as likely.
std::vector<std::size_t> divide(std::size_t items, std::size_t parts, SplitMix64& random) {
  std::vector<std::size_t> lengths;
  std::size_t begin = 0, cuts = parts - 1;
  for (std::size_t i = 1; i < items && cuts > 0; ++i) {
    if (random.below(items - i) >= cuts) continue;
    lengths.push_back(i - begin);
    begin = i;
    --cuts;
  }
  lengths.push_back(items - begin);
  return lengths;
}

// The text begins with tokens that stay and ends with a span.
std::vector<Span> draw_spans(const SpanDraw& draw, std::uint64_t start, std::size_t tokens) {
  const SpanLengths lengths = span_lengths(tokens);
  if (lengths.spans == 0) return {};
  SplitMix64 random(SplitMix64(draw.seed).next() ^ SplitMix64(start).next());
  const auto dropped = divide(lengths.dropped, lengths.spans, random);
  const auto kept = divide(tokens - lengths.dropped, lengths.spans, random);
  std::vector<Span> spans;
  std::size_t at = 0;
  for (std::size_t i = 0; i < lengths.spans; ++i) {
    spans.push_back({at + kept[i], at + kept[i] + dropped[i]});
    at = spans.back().end;
  }
  return spans;
}

// Puts numbers one behind the other.
class Writer {
 public:
  explicit Writer(std::span<std::int64_t> out) : out_(out) {}
  void add(std::int64_t id) { out_[count_++] = id; }
  void add(std::span<const std::int32_t> ids) {
    for (const std::int32_t id : ids) add(id);
  }
  std::size_t count() const { return count_; }

 private:
  std::span<std::int64_t> out_;
  std::size_t count_ = 0;
};

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

SpanLengths span_lengths(std::size_t tokens) {
  if (tokens < 2) return {0, 0, tokens + 1, 0};
  SpanLengths lengths;
  const auto share =
      static_cast<std::size_t>(std::nearbyint(kDroppedShare * static_cast<double>(tokens)));
  lengths.dropped = std::clamp<std::size_t>(share, 1, tokens - 1);
  const auto fewer = static_cast<double>(std::min(lengths.dropped, tokens - lengths.dropped));
  lengths.spans =
      std::max<std::size_t>(1, static_cast<std::size_t>(std::nearbyint(fewer / kMeanSpan)));
  lengths.source = tokens - lengths.dropped + lengths.spans + 1;
  lengths.target = lengths.dropped + lengths.spans + 1;
  return lengths;
}

std::int32_t decoder_start_id(const nlohmann::json& config, std::uint64_t vocab_size) {
  const JsonObject fields(config, std::string(format::kConfigFile));
  return read_id(fields, "decoder_start_token_id", read_id(fields, "pad_token_id", 0, vocab_size),
                 vocab_size);
}

SpanDraw read_span_draw(const nlohmann::json& config, const Tokenizer& tokenizer,
                        std::uint64_t vocab_size, std::int64_t context, std::uint64_t seed) {
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
                              "vocabulary of {}, windows of {} tokens need {}",
                              draw.sentinels.size(), vocab_size, context, needed),
                  "a smaller --context needs fewer");
    }
    draw.sentinels.push_back(*id);
  }
  return draw;
}

void drop_spans(const SpanDraw& draw, std::uint64_t start, std::span<const std::int32_t> text,
                std::size_t source_length, const WindowArrays& row) {
  std::fill(row.ids.begin(), row.ids.end(), 0);
  std::fill(row.targets.begin(), row.targets.end(), -1);
  std::fill(row.first_key.begin(), row.first_key.end(), 0);
  Writer source(row.ids.first(source_length)), target(row.targets.subspan(source_length));
  const auto spans = draw_spans(draw, start, text.size());
  std::size_t at = 0;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    source.add(text.subspan(at, spans[i].begin - at));
    source.add(draw.sentinels[i]);
    target.add(draw.sentinels[i]);
    target.add(text.subspan(spans[i].begin, spans[i].end - spans[i].begin));
    at = spans[i].end;
  }
  source.add(text.subspan(at));
  source.add(draw.end);
  if (!spans.empty()) target.add(draw.end);
  for (std::size_t i = source.count(); i < source_length; ++i) {
    row.first_key[i] = static_cast<std::int32_t>(i);
  }
  const auto given = row.ids.subspan(source_length), wanted = row.targets.subspan(source_length);
  given[0] = draw.start;
  for (std::size_t i = 1; i < target.count(); ++i) given[i] = wanted[i - 1];
}

std::vector<std::size_t> span_target_places(const SpanDraw& draw, std::uint64_t start,
                                            std::size_t tokens) {
  std::vector<std::size_t> places;
  for (const Span& span : draw_spans(draw, start, tokens)) {
    places.push_back(span.begin);
    for (std::size_t i = span.begin; i < span.end; ++i) places.push_back(i);
  }
  if (!places.empty()) places.push_back(tokens - 1);
  return places;
}

}  // namespace organ::train
