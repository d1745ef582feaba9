// SPDX-License-Identifier: Apache-2.0
// Softer findings: where an organ comes from, how it was made, and what it brings besides layers.
#include <algorithm>

#include "format/base/fail.h"
#include "format/checkpoint/tokenizer_files.h"
#include "format/organ/extraction.h"
#include "transplant/internal/judge.h"

namespace organ::transplant {
namespace {

constexpr std::string_view kBridge = "it would take a bridge between the two streams and recovery";

bool same_donor_layers(const Case& one, const Work& work) {
  const format::ExtractionRecord& from = one.organ.extraction;
  if (one.architecture.layer_count() != from.donor_layer_count) return false;
  if (from.layer_digests.size() != one.count) return false;
  const Work comparing = work.phase(
      "comparing layers", format::layers_size(one.recipient, {from.first_layer, one.count}));
  bool same = true;
  for (std::uint64_t i = 0; i < one.count; ++i) {
    const std::uint64_t layer = from.first_layer + i;
    if (same) {
      same = one.recipient.layer_digest(layer, comparing) == from.layer_digests[i];
    } else {
      comparing.advance(one.recipient.layer_size(layer));  // need not be read any more
    }
  }
  return same;
}

}  // namespace

void compare_lineage(const Case& one, const Work& work, Judge& judge) {
  const std::string& family = one.organ.architecture.model_type;
  const auto& fits = judge.report().fitting_positions;
  const bool comparable =
      std::find(fits.begin(), fits.end(), one.organ.extraction.first_layer) != fits.end();
  if (comparable && same_donor_layers(one, work)) {
    judge.note({"lineage",
                {},
                "same donor",
                "same donor",
                "the recipient still holds the very layers the organ was made of",
                ""});
  } else if (family == one.architecture.model_type()) {
    judge.warn({"lineage",
                {},
                "same donor",
                "same family",
                "the recipient's layers are not those the organ was made of",
                "measure the result before you rely on it (organ eval)"});
  } else {
    judge.warn({"lineage",
                {},
                escape_text(family),
                escape_text(one.architecture.model_type()),
                fmt::format("the organ comes from a {} model, the recipient is a {} model",
                            escape_text(family), escape_text(one.architecture.model_type())),
                "measure the result before you rely on it (organ eval)"});
  }
}

void compare_tokenizer(const Case& one, Judge& judge) {
  const auto theirs = one.recipient.own_tokenizer_digest();
  if (!one.organ.tokenizer || !theirs) {
    judge.note({"tokenizer",
                {},
                one.organ.tokenizer ? one.organ.tokenizer->digest.to_string() : "not recorded",
                theirs ? theirs->to_string() : "no tokenizer.json",
                "whether both models use the same tokenizer is not known",
                ""});
  } else if (!format::has_tokenizer(one.recipient.folder(), one.organ.tokenizer->digest)) {
    judge.warn({"tokenizer",
                {},
                one.organ.tokenizer->digest.to_string(),
                theirs->to_string(),
                "the organ was made under another tokenizer than the recipient's",
                "what the organ learned may not apply"});
  }
}

void compare_training(const Case& one, Judge& judge) {
  const std::uint64_t home = one.organ.extraction.first_layer;
  const auto& training = one.organ.training;
  if (training && training->mode == "wrapper") {
    judge.warn({"wrapper",
                {},
                "trained in place",
                "trained in a wrapper",
                "the organ was trained on embeddings, not on what reaches it inside a model",
                "expect a loss until the recipient is recovered (organ recover)"});
  }
  if (one.position == home) return;
  CompatibilityFinding finding = {
      "home_position",
      {},
      std::to_string(home),
      std::to_string(one.position),
      fmt::format("the organ was {} at layer {} and goes to layer {}",
                  training ? "trained" : "extracted", home, one.position),
      fmt::format("--at {} is where it comes from", home)};
  if (training)
    judge.warn(std::move(finding));
  else
    judge.note(std::move(finding));
}

void compare_other_parts(const Case& one, Judge& judge) {
  for (const format::FileEntry& file : one.organ.files) {
    if (file.role == format::FileRole::bridge) {
      judge.refuse(Level::C, {"bridge",
                              {},
                              escape_text(file.path),
                              "none",
                              "the organ works only behind its bridge, which a plain Hugging Face "
                              "checkpoint cannot hold",
                              std::string(kBridge)});
    }
    if (file.role == format::FileRole::head) {
      const bool tied = !one.architecture.is_opaque() && one.recipient.tied_head();
      judge.warn({"head",
                  {},
                  escape_text(file.path),
                  tied ? "tied to the embedding" : "own head",
                  "the organ's own output head is not installed; its measurements with that head "
                  "do not apply",
                  ""});
    }
  }
}

}  // namespace organ::transplant
