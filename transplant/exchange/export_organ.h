// SPDX-License-Identifier: Apache-2.0
// An organ as files for others: a folder as Hugging Face keeps it, or the pair of files of
// arXiv 2601.13580.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "format/organ/organ_source.h"

#pragma GCC visibility push(default)

namespace organ::transplant {

// Writes the organ as a new organ folder, every file byte for byte: organ.json, the weights, the
// card README.md and, unless it is empty, `bundle` as model.sig, which OMS verifiers check over the
// folder. Throws already_exists, corrupt (a file has not the digest that organ.json names), io,
// cancelled; nothing is left behind.
void export_folder(const format::OrganSource& organ, const std::string& bundle,
                   const std::filesystem::path& out, const Work& work = {});

// Writes a new folder with donor_layers.pt, the tensors of all layers as a state dict
// ("0.mlp.up_proj.weight", layers counted from 0, as of a torch.nn.ModuleList) that torch.load
// reads with weights_only=True, and donor_metadata.json (schemas/torch.md). import_layers() makes
// the same tensors of it, bit for bit. Returns the files of the organ that have no place there (a
// table that all layers share, a head). Throws as export_folder does, incompatible for an element
// type that torch lacks.
std::vector<std::string> export_donor_layers(const format::OrganSource& organ,
                                             const std::filesystem::path& out,
                                             const Work& work = {});

}  // namespace organ::transplant

#pragma GCC visibility pop
