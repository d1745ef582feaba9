// SPDX-License-Identifier: Apache-2.0
#include "format/manifest/model_card.h"

#include <algorithm>
#include <array>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/manifest/imported.h"

namespace organ::format {
namespace {

// Free text inside a table cell or a sentence: one line, no control characters, no cell borders.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : escape_text(text, 2048)) {
    if (c == '|' || c == '`' || c == '<' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

// Free text as a scalar of YAML, whose double quotes are those of JSON.
std::string scalar(std::string_view text) { return canonical_json(escape_text(text, 2048)); }

// The licence by the name that Hugging Face gives it, where it has one.
std::string licence_lines(const Manifest& manifest) {
  constexpr std::array kKnown = {"apache-2.0",      "mit",       "bsd-2-clause", "bsd-3-clause",
                                 "cc0-1.0",         "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0",
                                 "cc-by-nc-sa-4.0", "gpl-2.0",   "gpl-3.0",      "lgpl-3.0",
                                 "agpl-3.0",        "mpl-2.0",   "unlicense",    "llama2",
                                 "llama3",          "llama3.1",  "llama3.2",     "gemma"};
  if (!manifest.license) return {};
  std::string name = *manifest.license;
  std::transform(name.begin(), name.end(), name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (std::find(kKnown.begin(), kKnown.end(), name) != kKnown.end()) {
    return fmt::format("license: {}\n", name);
  }
  return fmt::format("license: other\nlicense_name: {}\n", scalar(*manifest.license));
}

// What an evaluation says, as a result of a model index.
std::string result_lines(const Manifest& manifest, const Evaluation& one) {
  const char* task = manifest.architecture.model_type == "bert" ? "fill-mask" : "text-generation";
  const std::string name = fmt::format("perplexity, {}, {} ctx={} stride={}", one.subject,
                                       one.protocol, one.context, one.stride);
  return fmt::format(
      "  - task:\n      type: {}\n    dataset:\n      type: {}\n      name: {}\n"
      "    metrics:\n    - type: perplexity\n      name: {}\n      value: {:.6f}\n",
      task, scalar(one.dataset), scalar(one.dataset), scalar(name), one.perplexity);
}

// The metadata block of Hugging Face's model cards.
std::string front_matter(const Manifest& manifest) {
  std::string out = "---\n" + licence_lines(manifest);
  out +=
      fmt::format("base_model: {}\nlibrary_name: organ\ntags:\n- organ\n- {}\n",
                  scalar(manifest.extraction.donor_id), scalar(manifest.architecture.model_type));
  if (!manifest.evaluations.empty()) {
    out += fmt::format("metrics:\n- perplexity\nmodel-index:\n- name: {}\n  results:\n",
                       scalar(manifest.name));
    for (const Evaluation& one : manifest.evaluations) out += result_lines(manifest, one);
  }
  return out + "---\n\n";
}

std::string last_layer(const ExtractionRecord& extraction) {
  return std::to_string(extraction.first_layer + extraction.layer_count - 1);
}

std::string origin(const Manifest& manifest) {
  const ExtractionRecord& from = manifest.extraction;
  std::string out = "| what | value |\n|---|---|\n";
  out += fmt::format("| donor | {}{} |\n", cell(from.donor_id),
                     from.donor_revision ? " at revision " + cell(*from.donor_revision) : "");
  out += fmt::format("| layers | {} to {} of {} (counted from 0) |\n", from.first_layer,
                     last_layer(from), from.donor_layer_count);
  out += fmt::format("| family | {} |\n", cell(manifest.architecture.model_type));
  if (!manifest.stack().empty()) out += fmt::format("| stack | {} |\n", cell(manifest.stack()));
  out +=
      fmt::format("| architecture signature | {} |\n", manifest.architecture.signature.to_string());
  out +=
      fmt::format("| licence | {} |\n", manifest.license ? cell(*manifest.license) : "not stated");
  out += fmt::format("| created | {} |\n", cell(manifest.created));
  return out;
}

std::string training(const Manifest& manifest) {
  if (const auto imported = import_record(manifest); imported && !manifest.training) {
    return fmt::format(
        "These layers came in the file {} ({}). How they were trained is not known.\n",
        cell(imported->file), imported->digest.to_string());
  }
  if (!manifest.training) {
    return "These are the donor's own layers, byte for byte. Nothing was trained.\n";
  }
  const TrainingRecord& record = *manifest.training;
  std::string out = fmt::format(
      "Trained {} with seed {}, {}, head {}.\n\n",
      record.mode == "wrapper" ? "in a wrapper (not inside a model)" : "in place inside the donor",
      record.seed, counted(record.trained_tensors.size(), "tensor"), cell(record.head));
  out += "| data | tokens | licence | digest |\n|---|---|---|---|\n";
  for (const TrainingRecord::Data& data : record.data) {
    out += fmt::format("| {} | {} | {} | {} |\n", cell(data.name), data.tokens,
                       data.license ? cell(*data.license) : "not stated", data.digest.to_string());
  }
  return out + "\nThe data itself is not part of the organ.\n";
}

std::string evaluations(const Manifest& manifest) {
  if (manifest.evaluations.empty()) {
    return "Nothing was measured. Whether this organ helps any model is not known.\n";
  }
  std::string out =
      "| subject | position | protocol | tokens | NLL (nats per token) | perplexity | data |\n"
      "|---|---|---|---|---|---|---|\n";
  bool chose = false;
  for (const Evaluation& one : manifest.evaluations) {
    const std::string conditions =
        one.conditions ? " " + cell(label_text(*one.conditions)) : std::string();
    out += fmt::format("| {} | {} | {} ctx={} stride={}{} | {} | {:.4f} | {:.3f} | {} |\n",
                       cell(one.subject), one.position ? std::to_string(*one.position) : "-",
                       cell(one.protocol), one.context, one.stride, conditions, one.tokens, one.nll,
                       one.perplexity, cell(one.dataset));
    chose = chose || (one.conditions && one.conditions->chose_weights);
  }
  out +=
      "\nFigures of one protocol, measured alike on one data set, may be compared, others may "
      "not.\n";
  if (chose) {
    out +=
        "\n`chose-weights`: these weights were chosen by their figure on this very data, so it is "
        "better than on data that had no say.\n";
  }
  return out;
}

}  // namespace

std::string model_card(const Manifest& manifest) {
  std::string out = front_matter(manifest);
  out += fmt::format("# {} {}\n\n", cell(manifest.name), cell(manifest.version));
  if (!manifest.description.empty()) out += cell(manifest.description) + "\n\n";
  out += fmt::format(
      "A donor organ: {} contiguous transformer layers as safetensors, "
      "described by organ.json.\n\n",
      manifest.extraction.layer_count);
  out += "## Origin\n\n" + origin(manifest);
  out += "\n## Training\n\n" + training(manifest);
  out += "\n## Measurements\n\n" + evaluations(manifest);
  out += fmt::format(
      "\n## Use\n\n```\norgan check DIR --recipient MODEL\n"
      "organ install DIR --into MODEL --at {}\norgan uninstall MODEL\n```\n",
      manifest.extraction.first_layer);
  return out;
}

}  // namespace organ::format
