// SPDX-License-Identifier: Apache-2.0
#include "train/data/span_denoising.h"

#include <algorithm>
#include <cmath>

#include "format/base/random.h"
#include "train/data/window.h"

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
