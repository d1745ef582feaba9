// SPDX-License-Identifier: Apache-2.0
// What both `extract` and `train` need to write an organ of a checkpoint's layers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "format/architecture/layer_range.h"
#include "format/checkpoint/checkpoint.h"
#include "format/manifest/manifest.h"

namespace organ::format {

// A manifest with architecture, extraction, tokenizer and created filled in; name = "organ",
// version = "0.0.0" until the caller sets them. `donor_id` is free text for people. The layers are
// read for their digests: `work` is told of layers_size() bytes.
Manifest draft_manifest(const Checkpoint& donor, LayerRange layers, std::string donor_id,
                        const Work& work = {});
std::uint64_t layers_size(const Checkpoint& donor, LayerRange layers);

// Throws what writing organ.json of these layers would, before anything is read or trained:
// incompatible when it would be longer than anybody reads (kManifestLimit), an organ of very many
// tensors or data files; invalid_argument for texts that check_texts refuses. `words` has what its
// maker says in it: texts and a training record. Reads no tensor.
void require_manifest_fits(const Checkpoint& donor, LayerRange layers, Manifest words);

// The tensors of one donor layer as writer sources (borrow the checkpoint), bytes untouched.
std::vector<TensorSource> layer_sources(const Checkpoint& donor, std::uint64_t layer);

// What goes into shared.safetensors; empty when the family shares nothing between its layers.
std::vector<TensorSource> shared_sources(const Checkpoint& donor);

}  // namespace organ::format
