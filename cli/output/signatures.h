// SPDX-License-Identifier: Apache-2.0
// What is said of the signatures and attestations of an organ that goes somewhere else.
#pragma once

#include <cstddef>
#include <string>

#include "cli/frame/context.h"
#include "format/base/fail.h"

namespace organ::cli {

// A folder has one model.sig: tells of the others that stay behind.
// It and the two below say nothing where nothing stays behind; no text of a file is in them.
inline void note_left_signatures(const Context& context, std::size_t signatures) {
  if (signatures < 2) return;
  context.note(
      fmt::format("the organ has {}: a folder has room for one, the others are "
                  "left out",
                  counted(signatures, "signature")));
}

// A folder holds none: they lie beside it.
inline void note_left_attestations(const Context& context, std::size_t attestations) {
  if (attestations == 0) return;
  context.note(fmt::format("left behind: {} of it; a folder holds none",
                           counted(attestations, "attestation")));
}

// `left_out`: what a registry has attached to a version and is not taken along. A warning, so that
// it is said with --quiet too.
inline void warn_left_out(const Context& context, std::size_t left_out) {
  if (left_out == 0) return;
  context.warn(
      fmt::format("{} of what is attached to it are neither signatures nor attestations of it, or "
                  "too many, and were left out",
                  left_out));
}

// "2 signatures, 1 attestation": what a line about a copy ends with; no word of attestations
// without any.
inline std::string attached_text(std::size_t signatures, std::size_t attestations) {
  std::string text = counted(signatures, "signature");
  if (attestations > 0) text += ", " + counted(attestations, "attestation");
  return text;
}

}  // namespace organ::cli
