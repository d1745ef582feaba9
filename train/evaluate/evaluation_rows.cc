// SPDX-License-Identifier: Apache-2.0
#include "train/evaluate/evaluation_rows.h"

#include <algorithm>

#include "format/base/fail.h"

namespace organ::train {
namespace {

constexpr std::int64_t kMostContext = 1 << 20;

void check_options(const Dataset& data, const EvaluationOptions& options) {
  if (options.context < 2) {
    fail(ErrorCode::invalid_argument, "context: expected at least 2 tokens, got {}",
         options.context);
  }
  if (options.context > kMostContext) {
    fail(ErrorCode::invalid_argument, "context: expected at most {}, got {}",
         counted(kMostContext, "token"), options.context);
  }
  if (options.windows < 0) {
    fail(ErrorCode::invalid_argument, "windows: expected 0 (all) or more, got {}", options.windows);
  }
  if (options.stride < 1 || options.stride > options.context) {
    fail(ErrorCode::invalid_argument, "stride: expected 1..{} (the context), got {}",
         options.context, options.stride);
  }
  const std::string_view name = to_string(options.protocol);
  if (options.protocol != Protocol::p0 && options.stride != options.context) {
    fail(ErrorCode::invalid_argument, "stride: {} has windows of its own, only P0 takes a stride",
         name);
  }
  if (options.batch_rows < 1) {
    fail(ErrorCode::invalid_argument, "batch: expected at least 1 document, got {}",
         options.batch_rows);
  }
  if (options.protocol == Protocol::spans && options.context != data.context()) {
    fail(ErrorCode::invalid_argument, "context: the spans were drawn for windows of {}, got {}",
         data.context(), options.context);
  }
  if (options.protocol != Protocol::p0w) return;
  if (!data.stream().text_words() || data.stream().lead_in().size() != 1) {
    fail(ErrorCode::invalid_argument,
         "{}: needs a text, whose words it counts, with one id before each document", name);
  }
  if (options.windows > 0) {
    fail(ErrorCode::invalid_argument, "windows: {} counts the words of the whole text", name);
  }
}

std::int64_t document_end(const Dataset& data, std::size_t document) {
  const auto starts = data.stream().document_starts();
  return document + 1 < starts.size() ? starts[document + 1] : data.tokens();
}

// Windows over tokens [first, end) until one reaches the end.
void add_windows(std::int64_t first, std::int64_t end, const EvaluationOptions& options,
                 std::vector<EvaluationRow>& rows) {
  // The positions at the start of a window whose targets the window before has counted.
  const std::int64_t shared = std::max<std::int64_t>(0, options.context - options.stride - 1);
  for (std::int64_t start = first;; start += options.stride) {
    rows.push_back({start, std::min(options.context, end - start), start == first ? 0 : shared});
    if (start + options.context >= end) return;
  }
}

// Over the joined documents of a text; rows of ids stay apart.
std::vector<EvaluationRow> stream_rows(const TokenStream& stream,
                                       const EvaluationOptions& options) {
  std::vector<EvaluationRow> rows;
  const auto starts = stream.row_starts();
  if (starts.empty()) add_windows(0, stream.tokens(), options, rows);
  for (std::size_t i = 0; i + 1 < starts.size(); ++i) {
    if (starts[i] < starts[i + 1]) add_windows(starts[i], starts[i + 1], options, rows);
  }
  return rows;
}

// lm-eval's rolling windows with one token of context: the last one is moved back to be full, and
// only its new tokens count.
void add_rolling_rows(std::int64_t first, std::int64_t end, std::int64_t context,
                      std::vector<EvaluationRow>& rows) {
  const std::int64_t targets = end - first - 1;
  for (std::int64_t done = 0; done < targets; done += context) {
    const std::int64_t fresh = std::min(context, targets - done);
    const std::int64_t tokens = std::min(context, done + fresh);
    rows.push_back({first + done + fresh - tokens, tokens, tokens - fresh});
  }
}

std::vector<EvaluationRow> document_rows(const Dataset& data, const EvaluationOptions& options) {
  std::vector<EvaluationRow> rows;
  const auto starts = data.stream().document_starts();
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const std::int64_t end = document_end(data, i);
    if (options.protocol == Protocol::p0w) {
      add_rolling_rows(starts[i], end, options.context, rows);
    } else {
      rows.push_back({starts[i], std::min(options.context, end - starts[i]), 0});
    }
  }
  return rows;
}

// The next token of the document is a target of the row's last position too.
void look_ahead(const Dataset& data, const EvaluationRow& row, const WindowArrays& out) {
  const std::int64_t next = row.start + row.tokens;
  const auto starts = data.stream().document_starts();
  if (next >= data.tokens() || std::binary_search(starts.begin(), starts.end(), next)) return;
  out.targets[static_cast<std::size_t>(row.tokens - 1)] =
      data.stream().ids()[static_cast<std::size_t>(next)];
}

// Padding as ordinary tokens of the document.
void count_padding(const EvaluationRow& row, std::int32_t id, const WindowArrays& out) {
  for (auto i = static_cast<std::size_t>(row.tokens); i < out.ids.size(); ++i) {
    out.ids[i] = id;
    out.first_key[i] = 0;
    out.targets[i - 1] = id;
  }
}

// Asks each token for the one `distance` places on in its document, unless that only leads in.
void ask_ahead(const Dataset& data, const EvaluationRow& row, std::int64_t distance,
               const WindowArrays& out) {
  for (std::int64_t i = 0; i < row.tokens; ++i) {
    const auto slot = static_cast<std::size_t>(i), asked = static_cast<std::size_t>(i + distance);
    const std::int64_t token = row.start + i + distance;
    const bool target = i + distance < row.tokens && out.first_key[asked] == out.first_key[slot] &&
                        token >= data.stream().text_start(token);
    out.targets[slot] = target ? out.ids[asked] : -1;
  }
}

}  // namespace

std::vector<EvaluationRow> evaluation_rows(const Dataset& data, const EvaluationOptions& options) {
  check_options(data, options);
  std::vector<EvaluationRow> rows;
  switch (options.protocol) {
    case Protocol::p0:
    case Protocol::p3:
    case Protocol::p4:
    case Protocol::p5:
    case Protocol::mlm:
    case Protocol::spans: rows = stream_rows(data.stream(), options); break;
    case Protocol::p0w:
    case Protocol::p1:
    case Protocol::p2:
    case Protocol::p6: rows = document_rows(data, options); break;
  }
  return rows;
}

bool keep_first(std::vector<EvaluationRow>& rows, std::int64_t windows) {
  const auto wanted = static_cast<std::size_t>(windows);
  if (windows == 0 || wanted >= rows.size()) return false;
  rows.resize(wanted);
  return true;
}

void fill_row(const Dataset& data, const EvaluationOptions& options, const EvaluationRow& row,
              const WindowArrays& out) {
  if (options.protocol == Protocol::spans) return data.fill_spans(row.start, row.tokens, out);
  const auto tokens = static_cast<std::size_t>(row.tokens);
  data.fill_from(row.start,
                 {out.ids.first(tokens), out.targets.first(tokens), out.first_key.first(tokens)});
  for (std::size_t i = tokens; i < out.ids.size(); ++i) {  // attends to itself, predicts nothing
    out.ids[i] = 0;
    out.targets[i] = -1;
    out.first_key[i] = static_cast<std::int32_t>(i);
  }
  switch (options.protocol) {
    case Protocol::p0w: look_ahead(data, row, out); break;
    case Protocol::p1: count_padding(row, options.padding_id, out); break;
    case Protocol::p3: ask_ahead(data, row, 2, out); break;
    case Protocol::p4: ask_ahead(data, row, 0, out); break;
    case Protocol::p0:
    case Protocol::p2:
    case Protocol::p5:
    case Protocol::p6:
    case Protocol::mlm:
    case Protocol::spans: break;
  }
  std::fill_n(out.targets.begin(), static_cast<std::size_t>(row.first_scored), -1);
}

std::int64_t row_length(const Dataset& data, const EvaluationOptions& options) {
  return options.protocol == Protocol::spans ? data.row_length() : options.context;
}

std::vector<std::int64_t> target_tokens(const Dataset& data, const EvaluationOptions& options,
                                        const EvaluationRow& row) {
  std::vector<std::int64_t> tokens;
  if (options.protocol == Protocol::spans) {
    tokens.assign(static_cast<std::size_t>(data.source_length()), row.start);
    const auto wanted = data.span_targets(row.start, row.tokens);
    tokens.insert(tokens.end(), wanted.begin(), wanted.end());
  }
  // The other protocols' targets lie where their tokens do; past the text is padding.
  for (auto i = static_cast<std::int64_t>(tokens.size()); i < row_length(data, options); ++i) {
    tokens.push_back(row.start + std::min(i, row.tokens - 1));
  }
  return tokens;
}

}  // namespace organ::train
