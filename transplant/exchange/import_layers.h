// SPDX-License-Identifier: Apache-2.0
// An organ of the layers that arXiv 2601.13580 stores: donor_layers.pt, and donor_metadata.json
// beside it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "format/architecture/layer_range.h"
#include "format/checkpoint/checkpoint.h"
#include "format/manifest/manifest.h"
#include "format/organ/finite_check.h"

#pragma GCC visibility push(default)

namespace organ::transplant {

// What the files do not say, or what counts instead of what they say. nullopt: what
// donor_metadata.json says; where that says nothing the layers are those that the tensors' names
// count, the name is "organ", the version "0.0.0", the description "", donor_id the name of the
// model's folder, and licence and revision are not told.
struct ImportOptions {
  std::optional<format::LayerRange> layers = {};  // of the donor
  std::optional<std::string> name = {}, version = {}, description = {}, license = {};
  std::optional<std::string> donor_id = {}, donor_revision = {};
  format::FiniteCheck* finite = nullptr;  // as in ExtractOptions
};

struct ImportOutcome {
  format::Manifest manifest;          // as written
  std::vector<std::string> left_out;  // tensors that nothing reads (masks that old files hold)
};

// Whether this is a file (whatever it holds: nothing is read), or a folder that holds
// donor_layers.pt.
bool holds_donor_layers(const std::filesystem::path& path);

// Writes the layers as a new organ folder, their bytes unchanged. `donor` is the model that they
// were cut from: of it the organ records architecture, tokenizer and the untouched layers. `source`
// is the file, or the folder that holds donor_layers.pt. Which layers they are say the options,
// else donor_metadata.json, else the names, unless they count from 0. Throws not_found, corrupt
// (damage, a pickle that is more than weights, a link that leads out of the folder), incompatible
// (tensors that are not those of such layers, each by name; layers elsewhere than the names or the
// metadata say, a model of another architecture than it says), invalid_argument (nothing says which
// layers they are; name or version outside the grammar), already_exists, io, cancelled; nothing is
// left behind.
ImportOutcome import_layers(const format::Checkpoint& donor, const std::filesystem::path& source,
                            const std::filesystem::path& out, const ImportOptions& options,
                            const Work& work = {});

}  // namespace organ::transplant

#pragma GCC visibility pop
