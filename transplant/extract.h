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
  std::string name = "organ";     // format::check_name says its grammar
  std::string version = "0.0.0";  // SemVer 2.0
  std::string description = {};
  std::optional<std::string> license = {};  // nullopt: not told
  std::string donor_id;                     // free text for people
  std::optional<std::string> donor_revision = {};
  // Borrowed for the call, which fills `found`: the tensors that hold NaN or infinity. With
  // `required` one of them ends it. nullptr: they are extracted and not told.
  format::FiniteCheck* finite = nullptr;
};

// Writes the layers as a new organ folder: one safetensors file per layer with the donor's bytes,
// dtypes and layout, README.md and organ.json, and shared.safetensors where the family's layers
// share a table. Its permissions are no wider than those of every shard of the donor. Returns the
// manifest as written. Throws already_exists when `out` exists, invalid_argument for a name or
// version outside the grammar or layers that the donor lacks, corrupt when the donor is incomplete
// (or not finite, where that is required), incompatible when organ.json would be longer than
// kManifestLimit, io (no room on the disk included), cancelled; nothing is left behind.
format::Manifest extract_organ(const format::Checkpoint& donor, format::LayerRange layers,
                               const std::filesystem::path& out, const ExtractOptions& options,
                               const Work& work = {});

}  // namespace organ::transplant

#pragma GCC visibility pop
