// SPDX-License-Identifier: Apache-2.0
// A two-layer Llama of a few kilobytes: its checkpoint folder and organs made of its layers.
#pragma once

#include <filesystem>
#include <string>

#include "format/manifest/manifest.h"

namespace organ::test {

// Writes config.json and model.safetensors of a Llama with `layers` layers into a new folder.
void write_tiny_checkpoint(const std::filesystem::path& folder, unsigned layers = 2);

// The manifest of an organ of that checkpoint's layers [0, count), before files are known; every
// optional field is filled when `full`.
format::Manifest tiny_manifest(const std::filesystem::path& checkpoint, unsigned count,
                               bool full = false);

// Writes an organ folder FOLDER (and FOLDER-donor beside it) and returns its path.
std::filesystem::path write_tiny_organ(const std::filesystem::path& folder, unsigned count = 1,
                                       bool full = false);

}  // namespace organ::test
