// SPDX-License-Identifier: Apache-2.0
#include "train/evaluate/protocol.h"

#include <fmt/core.h>

namespace organ::train {
namespace {

struct Entry {
  Protocol protocol;
  std::string_view name;
  std::string_view defect;  // empty: sound
};

constexpr Entry kEntries[] = {
    {Protocol::p0, "P0", ""},
    {Protocol::p0w, "P0w", ""},
    {Protocol::p1, "P1", "padding counts as text, and predicting it is easy"},
    {Protocol::p2, "P2", "perplexities of documents are averaged, so the worst ones rule"},
    {Protocol::p3, "P3", "labels are shifted twice: the token after the next is predicted"},
    {Protocol::p4, "P4", "labels are not shifted: copying the input is rewarded"},
    {Protocol::p5, "P5", "attention is not causal: each token sees the one it predicts"},
    {Protocol::p6, "P6", "means of batches are averaged, so short batches weigh too much"},
    {Protocol::mlm, "MLM", ""},
    {Protocol::spans, "SPAN", ""},
};

const Entry& entry(Protocol protocol) { return kEntries[static_cast<std::size_t>(protocol)]; }

}  // namespace

std::string_view to_string(Protocol protocol) { return entry(protocol).name; }

std::optional<Protocol> parse_protocol(std::string_view name) {
  for (const Entry& each : kEntries) {
    if (each.name == name) return each.protocol;
  }
  return std::nullopt;
}

std::optional<Protocol> protocol_of(Task task) {
  switch (task) {
    case Task::next_token: return std::nullopt;
    case Task::hidden_tokens: return Protocol::mlm;
    case Task::spans: return Protocol::spans;
  }
  return std::nullopt;
}

bool is_of_task(Protocol protocol) {
  return protocol == Protocol::mlm || protocol == Protocol::spans;
}

bool is_diagnostic(Protocol protocol) { return !entry(protocol).defect.empty(); }

std::string watermark(Protocol protocol) {
  return fmt::format("DIAGNOSTIC {}, NOT THE MODEL'S PERPLEXITY: {}", to_string(protocol),
                     entry(protocol).defect);
}

std::string protocol_name(Protocol protocol, std::int64_t context, std::int64_t stride) {
  const bool strided = protocol == Protocol::p0 && stride < context;
  return std::string(to_string(protocol)) + (strided ? "s" : "");
}

std::string protocol_label(std::string_view name, std::int64_t context, std::int64_t stride,
                           const std::optional<Digest>& tokenizer,
                           const std::optional<format::EvaluationConditions>& conditions,
                           std::string_view own) {
  const auto protocol = parse_protocol(name);
  std::string settings = fmt::format("ctx={},stride={}", context, stride);
  if (!own.empty()) settings.append(",").append(own);
  settings += fmt::format(",tok={}", tokenizer ? tokenizer->hex().substr(0, 12) : "none");
  if (conditions) settings.append(",").append(format::label_text(*conditions));
  if (protocol && is_of_task(*protocol)) return fmt::format("{}-PPL[{}]", name, settings);
  const bool diagnostic = protocol && is_diagnostic(*protocol);
  return fmt::format("{}[{},{}]", diagnostic ? "diagnostic" : "ppl", name, settings);
}

}  // namespace organ::train
