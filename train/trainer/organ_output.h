// SPDX-License-Identifier: Apache-2.0
// What a training run leaves: an organ folder.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "format/base/progress.h"
#include "format/manifest/manifest.h"
#include "train/trainer/trainer.h"

#pragma GCC visibility push(default)

namespace organ::train {

// What its maker says of an organ, as organ.json has it. Version: SemVer; license and data_license:
// SPDX identifiers, nullopt where none is named. donor_id: a name for the model that it was cut
// from.
struct OrganIdentity {
  std::string name = "organ";
  std::string version = "0.0.0";
  std::string description;
  std::optional<std::string> license;
  std::string donor_id;
  std::optional<std::string> data_license;
};

// Throws what write_organ would of the organ of such a run, before anything is trained:
// invalid_argument for texts that organ.json does not hold, incompatible where it would be longer
// than anybody reads. Reads no tensor.
void check_organ(const TrainInputs& inputs, const OrganIdentity& identity);

// Writes the organ folder `out` with the trained layers in the donor's stored types, BF16 for
// MXFP4 (rounded to nearest even), one after the other, and returns its manifest. Throws
// already_exists, io, incompatible when a value does not fit the stored type, cancelled.
// The folder appears whole or not at all. settings.layers are its layers, counted from 0 in it;
// organ.json records settings, data, software, figures and what training changed of each tensor. To
// be called where TrainResult::writes_files.
format::Manifest write_organ(const TrainedRun& run, const OrganIdentity& identity,
                             const std::filesystem::path& out, const Work& work = {});

}  // namespace organ::train

#pragma GCC visibility pop
