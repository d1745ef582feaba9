// SPDX-License-Identifier: Apache-2.0
// Cutting an organ out of a checkpoint.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "format/architecture/layer_range.h"
#include "format/checkpoint/checkpoint.h"
#include "format/manifest/manifest.h"
#include "format/organ/finite_check.h"

#pragma GCC visibility push(default)

namespace organ::transplant {

// What organ.json says of the organ beside its layers. Texts have 4096 bytes at most.
struct ExtractOptions {
  std::string name = "organ";
  std::string version = "0.0.0";
  std::string description = {};
  std::optional<std::string> license = {};
  std::string donor_id;  // free text for people
  std::optional<std::string> donor_revision = {};
  format::FiniteCheck* finite = nullptr;
};

// Writes the layers as a new organ folder: one safetensors file per layer with the donor's bytes,
// dtypes and layout, README.md and organ.json. Returns the manifest as written. Throws
// already_exists when `out` exists, invalid_argument for a name or version outside the grammar,
// corrupt when the donor is incomplete (or not finite, where that is required), cancelled; nothing
// is left behind.
format::Manifest extract_organ(const format::Checkpoint& donor, format::LayerRange layers,
                               const std::filesystem::path& out, const ExtractOptions& options,
                               const Work& work = {});

}  // namespace organ::transplant

#pragma GCC visibility pop
