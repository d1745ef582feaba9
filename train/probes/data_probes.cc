// SPDX-License-Identifier: Apache-2.0
// The self-tests that need no model.
#include "train/probes/data_probes.h"

#include <algorithm>

#include "train/data/token_stream.h"
#include "train/probes/model_probes.h"
#include "train/probes/trailing_runs.h"

namespace organ::train {
namespace {

constexpr double kPaddingLimit = 0.05, kOverlapLimit = 0.1;

}  // namespace

ProbeFinding TrailingRuns::finding(PaddingIds padding) const {
  std::uint64_t repeated = 0;
  for (const auto& [id, end] : ends_) {
    const bool fills = std::ranges::find(padding, id) != padding.end();
    if (fills || (rows_ > 1 && 2 * end.rows > rows_)) repeated += end.repeated;
  }
  const double share = all_ ? static_cast<double>(repeated) / static_cast<double>(all_) : 0;
  return {
      "padding",
      share <= kPaddingLimit,
      share,
      kPaddingLimit,
      "share of the targets that repeat one id up to the end of their row",
      ErrorCode::invalid_argument,
      "--pad-id ID leaves such ids at the end of a row out, of an end-of-sequence id all but the "
      "first"};
}

ProbeFinding probe_trailing_padding(const TokenStream& data, PaddingIds padding) {
  TrailingRuns runs;
  const auto ids = data.ids();
  const auto starts = data.document_starts();
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const auto first = static_cast<std::size_t>(starts[i]) + 1;  // the first id is no target
    const auto end = i + 1 < starts.size() ? static_cast<std::size_t>(starts[i + 1]) : ids.size();
    runs.add(ids.subspan(first, end - first));
  }
  ProbeFinding finding = runs.finding(padding);
  if (data.split())
    finding.hint = "take what fills the texts up out of them: windows are filled up anyway";
  return finding;
}

ProbeFinding overlap_finding(double share) {
  return {"overlap",
          share <= kOverlapLimit,
          share,
          kOverlapLimit,
          "share of the held-out 13-grams of tokens that also occur in the training data",
          ErrorCode::invalid_argument,
          "measure on text that was not trained on"};
}

}  // namespace organ::train
