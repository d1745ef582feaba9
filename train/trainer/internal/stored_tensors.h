// SPDX-License-Identifier: Apache-2.0
// Trained tensors as they are stored: converted while they are written, so that no more than a
// piece of one is held beside the values themselves.
#pragma once

#include <cstdint>
#include <vector>

#include "format/manifest/manifest.h"
#include "format/tensor/safetensors.h"
#include "train/trainer/trainer.h"

namespace organ::train {

// Borrows the trained tensor.
struct StoredTensor {
  const TrainedTensor* trained;
  format::TensorInfo info;  // the donor's stored type; name relative to the layer
};

// Those of one layer, by name; TrainedTensor::kOutside: of what is outside of the layers, whose
// names are those of the checkpoint. Throws incompatible for a type that holds no trained numbers.
std::vector<StoredTensor> stored_tensors(const TrainedRun& run, std::uint64_t layer);
// Every layer that has trained, ascending; kOutside last where something outside has.
std::vector<std::uint64_t> trained_layers(const TrainedRun& run);

// The bytes, rounded to nearest even. Reading throws incompatible when a finite value does not fit.
format::TensorSource source_of(const StoredTensor& tensor);

// What training changed of it, on stored values: relative_rms = rms(change) / rms(before). Reads
// the untrained tensor; holds it in fp32 meanwhile. `name`: the change's.
format::TensorChange measure_change(const TrainedRun& run, const StoredTensor& tensor,
                                    std::string name);

}  // namespace organ::train
